// Approximate quantiles: user_state/core/kll_tiles.py says what they are, kll_sketch.hpp what sketches are, codec/klls.py
// has their bytes.
#include <algorithm>
#include <ranges>

#include "families/klls/stored_kll.hpp"

namespace user_state {

namespace {

using Sketch = StoredKll;

class Klls : public SketchTiles<double> {
 public:
  explicit Klls(const Plan& plan) : SketchTiles(tracks_of(plan), plan.kll_axes) {
    for (const KllTrack& track : plan.klls) fitting_.push_back(capacities_of(track.k));
  }

 protected:
  double item_of(const Events& events, int field, std::uint32_t row) const override {
    // Adding 0 makes -0 and 0 one number.
    return events.number(field, row) + 0.0;
  }

  void read_sketches(Reader& in, std::span<const int> tracks, std::uint8_t width) override {
    held_.assign(tracks.size(), {});
    levels_.clear();
    in.column<std::uint8_t>(tracks.size(), levels_);
    for (std::size_t at = 0; at < tracks.size(); ++at) {
      need(levels_[at] >= 1 && levels_[at] <= kMostKllLevels);
      held_[at].sizes = in.bytes(sizeof(std::uint16_t) * levels_[at]);
    }
    for (Sketch& sketch : held_) sketch.least = in.take<double>();
    for (Sketch& sketch : held_) sketch.greatest = in.take<double>();
    for (std::size_t at = 0; at < tracks.size(); ++at) {
      Sketch& sketch = held_[at];
      std::uint32_t size = check_shape(sketch, fitting_[tracks[at]]);
      sketch.numbers = {in.bytes(std::size_t{size} * width).data(), size, width};
      width == sizeof(float) ? check_numbers<float>(sketch) : check_numbers<double>(sketch);
    }
  }

  std::uint32_t borrow(const SketchTiles& other, std::uint32_t sketch) override {
    held_.push_back(static_cast<const Klls&>(other).held_[sketch]);
    return static_cast<std::uint32_t>(held_.size() - 1);
  }

  std::uint32_t unite(int track, std::span<const std::uint32_t> sketches, std::span<const double> numbers) override {
    if (sketches.size() == 1 && has_room(track, held_[sketches.front()], numbers.size())) {
      held_.push_back(with(held_[sketches.front()], numbers));
      return static_cast<std::uint32_t>(held_.size() - 1);
    }
    united_.begin(fitting_[track]);
    for (std::uint32_t sketch : sketches) see(held_[sketch]);
    for (double number : numbers) united_.see(0, number);
    united_.finish();
    held_.push_back(packed());
    return static_cast<std::uint32_t>(held_.size() - 1);
  }

  bool is_single(std::uint32_t sketch) const override { return held_[sketch].numbers.are_single(); }

  void write_sketches(Writer& out, std::span<const std::uint32_t> sketches, std::uint8_t width) const override {
    out.column<std::uint8_t>(sketches, [this](std::uint32_t sketch) { return held_[sketch].levels(); });
    for (std::uint32_t sketch : sketches) out.bytes(held_[sketch].sizes);
    for (std::uint32_t sketch : sketches) out.put(held_[sketch].least);
    for (std::uint32_t sketch : sketches) out.put(held_[sketch].greatest);
    for (std::uint32_t sketch : sketches) held_[sketch].numbers.write(out, width);
  }

 private:
  static std::vector<SketchTrack> tracks_of(const Plan& plan) {
    std::vector<SketchTrack> tracks;
    for (const KllTrack& track : plan.klls) {
      tracks.push_back({track.filter, track.of, static_cast<std::size_t>(track.k)});
    }
    return tracks;
  }

  bool has_room(int track, const Sketch& sketch, std::size_t size) const {
    return sketch.numbers.size + size <= fitting_[track][sketch.levels()];
  }

  /// Returns a sketch that has room for numbers, of which there are some, with them.
  ///
  /// Nothing is compacted, so level 0 need not be in order: each number is put before those it has.
  Sketch with(const Sketch& sketch, std::span<const double> numbers) {
    Buffer& sizes = fresh_.add();
    Buffer& all = fresh_.add();
    Writer sizes_out(sizes), out(all);
    sizes_out.put(static_cast<std::uint16_t>(sketch.size_of(0) + numbers.size()));
    sizes_out.bytes(sketch.sizes.substr(sizeof(std::uint16_t)));
    out.column<double>(std::views::reverse(numbers), [](double number) { return number; });
    sketch.numbers.write(out, sizeof(double));
    auto [least, greatest] = std::ranges::minmax(numbers);
    auto size = static_cast<std::uint32_t>(sketch.numbers.size + numbers.size());
    return {sizes.view(), std::min(sketch.least, least), std::max(sketch.greatest, greatest), {all.data(), size, sizeof(double)}};
  }

  /// Lets all levels of a sketch be united.
  void see(const Sketch& sketch) {
    united_.see_ends(sketch.least, sketch.greatest);
    std::uint32_t place = 0;
    for (std::size_t level = 0; level < sketch.levels(); ++level) {
      for (std::uint32_t at = 0; at < sketch.size_of(level); ++at) united_.see(level, sketch.numbers.real(place++));
    }
  }

  /// Returns what was united, as it lies in a section.
  Sketch packed() {
    Buffer& sizes = fresh_.add();
    Buffer& numbers = fresh_.add();
    Writer sizes_out(sizes), numbers_out(numbers);
    std::uint32_t size = 0;
    for (const std::vector<double>& level : united_.levels()) {
      sizes_out.put(static_cast<std::uint16_t>(level.size()));
      numbers_out.column<double>(level, [](double number) { return number; });
      size += static_cast<std::uint32_t>(level.size());
    }
    return {sizes.view(), united_.least(), united_.greatest(), {numbers.data(), size, sizeof(double)}};
  }

  std::vector<Capacities> fitting_;
  std::vector<std::uint8_t> levels_;
  std::vector<Sketch> held_;
  KllUnion united_;
};

}  // namespace

std::unique_ptr<Family> make_klls(const Plan& plan) { return std::make_unique<Klls>(plan); }

}  // namespace user_state
