// Approximate quantiles: user_state/core/kll_tiles.py says what they are, core/kll.py what sketches are, codec/klls.py
// has their bytes. The DataSketches library unites them, by way of Python; everything else is done here, also what the
// library does with numbers that a sketch has room for.
#include <algorithm>
#include <ranges>
#include <utility>

#include "families/klls/stored_kll.hpp"

namespace user_state {

namespace {

using Sketch = StoredKll;

class Klls : public SketchTiles<double> {
 public:
  Klls(const Plan& plan, Unite unite) : SketchTiles(tracks_of(plan), plan.kll_axes), unite_(std::move(unite)) {
    for (const KllTrack& track : plan.klls) {
      k_.push_back(track.k);
      fitting_.push_back(capacities_of(track.k));
    }
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

  std::uint32_t unite(int track, std::span<const std::uint32_t> sketches, std::span<const double> numbers) override {
    if (sketches.size() == 1 && has_room(track, held_[sketches.front()], numbers.size())) {
      held_.push_back(with(held_[sketches.front()], numbers));
      return static_cast<std::uint32_t>(held_.size() - 1);
    }
    united_.clear();
    for (std::uint32_t sketch : sketches) united_.push_back(plain(held_[sketch]));
    held_.push_back(packed(unite_(k_[track], united_, numbers)));
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
  /// As long as there is room, the library compacts nothing: it puts each number before those of level 0, which are in
  /// no order.
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

  static KllSketch plain(const Sketch& sketch) {
    KllSketch made{{}, sketch.least, sketch.greatest, {}};
    for (std::size_t level = 0; level < sketch.levels(); ++level) made.sizes.push_back(sketch.size_of(level));
    for (std::uint32_t at = 0; at < sketch.numbers.size; ++at) made.numbers.push_back(sketch.numbers.real(at));
    return made;
  }

  Sketch packed(const KllSketch& sketch) {
    Buffer& sizes = fresh_.add();
    Buffer& numbers = fresh_.add();
    Writer(sizes).column<std::uint16_t>(sketch.sizes, [](std::uint32_t size) { return size; });
    Writer(numbers).column<double>(sketch.numbers, [](double number) { return number; });
    auto size = static_cast<std::uint32_t>(sketch.numbers.size());
    return {sizes.view(), sketch.least, sketch.greatest, {numbers.data(), size, sizeof(double)}};
  }

  const Unite unite_;
  std::vector<int> k_;
  std::vector<Capacities> fitting_;
  std::vector<std::uint8_t> levels_;
  std::vector<Sketch> held_;
  std::vector<KllSketch> united_;
};

}  // namespace

std::unique_ptr<Family> make_klls(const Plan& plan, Unite unite) {
  return std::make_unique<Klls>(plan, std::move(unite));
}

}  // namespace user_state
