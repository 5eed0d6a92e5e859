// Approximate quantiles: tiles of values, and of a KLL sketch once there are more than k. What events make of them.
//
// Tiles of one place are joined by putting their values together, or by uniting their sketches (kll_sketch.hpp, with
// the source). Whether a tile holds values or a sketch depends on how many there are, hence on the set of its events
// alone; what a sketch has kept of them depends on the batches that they came in, within its error.
#include <algorithm>
#include <ranges>

#include "families/klls/stored.hpp"
#include "families/sketch_tiles/sketch_tiles.hpp"

namespace user_state {

namespace {

class Klls : public SketchTiles<double> {
 public:
  explicit Klls(const Plan& plan) : SketchTiles(tracks_of(plan), plan.kll_axes), held_(sizes(plan)) {}

  void read(Reader in, const Strings&) override {
    held_.read(in);
    new_.clear();
    tiles_.swap(held_.tiles);
  }

  void write(Writer& out, const Strings&) const override {
    put_tiles(tiles_, held_.tracks(), fresh_.tiles);
    bool single = std::ranges::all_of(tiles_, [this](const SketchTile& tile) { return is_single(tile); });
    if (single) fresh_.tiles.flags |= fresh_.tiles.kSingle;
    fresh_.levels.clear(), fresh_.sizes.clear(), fresh_.least.clear(), fresh_.greatest.clear();
    fresh_.single_values.clear(), fresh_.values.clear(), fresh_.single_numbers.clear(), fresh_.numbers.clear();
    single ? put(fresh_.single_values, fresh_.single_numbers) : put(fresh_.values, fresh_.numbers);
    write_columns(out, fresh_, held_.tracks());
  }

 protected:
  double item_of(const Events& events, int field, std::size_t place) const override {
    // Adding 0 makes -0 and 0 one number.
    return events.number(field, place) + 0.0;
  }

  std::uint32_t borrow(const SketchTiles& other, std::uint32_t sketch) override {
    return add(static_cast<const Klls&>(other).held_.sketches[sketch]);
  }

  std::uint32_t unite(int track, std::span<const std::uint32_t> sketches, std::span<const double> numbers) override {
    const std::vector<StoredKll>& held = held_.sketches;
    if (sketches.size() == 1 && has_room(track, held[sketches.front()], numbers.size())) {
      return add(with(held[sketches.front()], numbers));
    }
    united_.begin(held_.fitting(track));
    for (std::uint32_t sketch : sketches) see(held[sketch]);
    for (double number : numbers) united_.see(0, number);
    united_.finish();
    return add(packed());
  }

 private:
  static std::vector<SketchTrack> tracks_of(const Plan& plan) {
    std::vector<SketchTrack> tracks;
    for (const KllTrack& track : plan.klls) {
      tracks.push_back({track.filter, track.of, static_cast<std::size_t>(track.k)});
    }
    return tracks;
  }

  static std::vector<int> sizes(const Plan& plan) {
    std::vector<int> made;
    for (const KllTrack& track : plan.klls) made.push_back(track.k);
    return made;
  }

  std::uint32_t add(const StoredKll& sketch) {
    held_.sketches.push_back(sketch);
    return static_cast<std::uint32_t>(held_.sketches.size() - 1);
  }

  /// Whether a tile's numbers are the same in single precision.
  bool is_single(const SketchTile& tile) const {
    return tile.has_sketch() ? held_.sketches[tile.sketch].numbers.are_single() : tile.items.are_single();
  }

  /// Puts down all values and sketches.
  template <class T>
  void put(PiecedColumn<T>& values, PiecedColumn<T>& numbers) const {
    Appending put_values(values), put_numbers(numbers);
    for (const SketchTile& tile : tiles_) {
      if (!tile.has_sketch()) {
        put_values(tile.items);
        continue;
      }
      const StoredKll& sketch = held_.sketches[tile.sketch];
      fresh_.levels.push_back(static_cast<std::uint8_t>(sketch.levels()));
      for (std::size_t level = 0; level < sketch.levels(); ++level) {
        fresh_.sizes.push_back(static_cast<std::uint16_t>(sketch.size_of(level)));
      }
      fresh_.least.push_back(sketch.least);
      fresh_.greatest.push_back(sketch.greatest);
      put_numbers(sketch.numbers);
    }
    put_values.end(), put_numbers.end();
  }

  bool has_room(int track, const StoredKll& sketch, std::size_t size) const {
    return sketch.numbers.size + size <= held_.fitting(track)[sketch.levels()];
  }

  /// Returns a sketch that has room for numbers, of which there are some, with them.
  ///
  /// Nothing is compacted, so level 0 need not be in order: each number is put before those it has.
  StoredKll with(const StoredKll& sketch, std::span<const double> numbers) {
    Buffer& sizes = new_.add();
    Buffer& all = new_.add();
    Writer sizes_out(sizes), out(all);
    sizes_out.put(static_cast<std::uint16_t>(sketch.size_of(0) + numbers.size()));
    sizes_out.bytes(sketch.sizes.substr(sizeof(std::uint16_t)));
    out.column<double>(std::views::reverse(numbers), [](double number) { return number; });
    if (sketch.numbers.width == sizeof(double)) {
      out.bytes(sketch.numbers.bytes());
    } else {
      for (std::uint32_t place = 0; place < sketch.numbers.size; ++place) out.put(sketch.numbers.real(place));
    }
    auto [least, greatest] = std::ranges::minmax(numbers);
    auto size = static_cast<std::uint32_t>(sketch.numbers.size + numbers.size());
    return {sizes.view(), std::min(sketch.least, least), std::max(sketch.greatest, greatest), {all.data(), size, sizeof(double)}};
  }

  /// Lets all levels of a sketch be united.
  void see(const StoredKll& sketch) {
    united_.see_ends(sketch.least, sketch.greatest);
    std::uint32_t place = 0;
    for (std::size_t level = 0; level < sketch.levels(); ++level) {
      for (std::uint32_t at = 0; at < sketch.size_of(level); ++at) united_.see(level, sketch.numbers.real(place++));
    }
  }

  /// Returns what was united, as it lies in a section.
  StoredKll packed() {
    Buffer& sizes = new_.add();
    Buffer& numbers = new_.add();
    Writer sizes_out(sizes), numbers_out(numbers);
    std::uint32_t size = 0;
    for (const std::vector<double>& level : united_.levels()) {
      sizes_out.put(static_cast<std::uint16_t>(level.size()));
      numbers_out.column<double>(level, [](double number) { return number; });
      size += static_cast<std::uint32_t>(level.size());
    }
    return {sizes.view(), united_.least(), united_.greatest(), {numbers.data(), size, sizeof(double)}};
  }

  StoredKlls held_;
  /// Reused record after record.
  mutable KllColumns<FreshSketches> fresh_;
  KllUnion united_;
};

}  // namespace

std::unique_ptr<Family> make_klls(const Plan& plan) { return std::make_unique<Klls>(plan); }

}  // namespace user_state
