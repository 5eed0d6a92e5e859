// Tiles that hold a few items or a sketch each, where their section has them: what folding and reading have in common.
//
// Records are long and batches short: what a tile holds stays where it lies in the section unless the tile changes, and is
// written by copying it from there.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "families/sketch_tiles/columns.hpp"

namespace user_state {

/// Numbers as they lie in memory: where, how many, and in how many bytes each.
struct Numbers {
  const char* at = nullptr;
  std::uint32_t size = 0;
  std::uint8_t width = 0;

  std::string_view bytes() const { return {at, std::size_t{size} * width}; }
  const char* end() const { return at + std::size_t{size} * width; }

  /// A floating-point number by its place.
  double real(std::uint32_t place) const {
    return width == sizeof(float) ? load<float>(at + sizeof(float) * place) : load<double>(at + sizeof(double) * place);
  }
  /// Calls `see(place, number)` with all floating-point numbers.
  template <class See>
  void reals(See see) const {
    if (width == sizeof(float)) {
      for (std::uint32_t place = 0; place < size; ++place) see(place, load<float>(at + sizeof(float) * place));
    } else {
      for (std::uint32_t place = 0; place < size; ++place) see(place, load<double>(at + sizeof(double) * place));
    }
  }
  /// Whether floating-point numbers are the same in single precision.
  bool are_single() const;
  /// Whether floating-point numbers are finite and ascend.
  bool are_in_order() const;
};

/// Puts numbers of the type of a column, or floating-point numbers, into that column.
template <class T>
void append(const Numbers& numbers, PiecedColumn<T>& to) {
  if (numbers.width == sizeof(T)) return to.copy(numbers.bytes());
  for (std::uint32_t place = 0; place < numbers.size; ++place) to.put(static_cast<T>(numbers.real(place)));
}

/// Puts numbers into a column one after the other; those that lie side by side are copied in one piece.
template <class T>
class Appending {
 public:
  explicit Appending(PiecedColumn<T>& to) : to_(to) {}

  void operator()(const Numbers& numbers) {
    if (numbers.at == piece_.end() && numbers.width == piece_.width) {
      piece_.size += numbers.size;
      return;
    }
    end();
    piece_ = numbers;
  }
  void end() { append(piece_, to_), piece_ = {}; }

 private:
  PiecedColumn<T>& to_;
  Numbers piece_;
};

struct SketchTile {
  static constexpr int kTrackBits = 12;

  static std::int64_t key_of(std::int64_t start_s, int track) { return start_s << kTrackBits | track; }
  static int track_of(std::int64_t key) { return static_cast<int>(key & ((1 << kTrackBits) - 1)); }
  static std::int64_t start_of(std::int64_t key) { return key >> kTrackBits; }

  int track() const { return track_of(key); }
  std::int64_t start_s() const { return start_of(key); }
  bool has_sketch() const { return items.size == 0; }

  /// Of start and track; by it tiles ascend.
  std::int64_t key;
  /// None, if the tile holds a sketch.
  Numbers items;
  /// The number of that sketch.
  std::uint32_t sketch = 0;
};

/// Finds out which tiles there are. `tracks` is how many the layout has; items lie one after the other from `items` on, in
/// so many bytes each; sketches are numbered in the order of their tiles.
void take_tiles(const SketchTileColumns<Stored>& columns, std::size_t tracks, const char* items, std::uint8_t width,
                std::vector<SketchTile>& tiles);

/// Puts down which tiles there are; the flag of single precision is left to others.
void put_tiles(const std::vector<SketchTile>& tiles, std::size_t tracks, SketchTileColumns<FreshSketches>& columns);

}  // namespace user_state
