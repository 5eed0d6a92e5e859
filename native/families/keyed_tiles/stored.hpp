// The keyed tiles of one record, as its section has them: what folding and reading have in common.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "families/keyed/stored_keys.hpp"
#include "families/keyed_tiles/columns.hpp"

namespace user_state {

/// Where a tile's wide counts and sums begin, and how many wide ones there are.
struct KeyedTile : KeyedGroup<std::int64_t> {
  std::uint32_t wide_at = 0, sum_at = 0, wides = 0;
  /// Whether its counts would be written in another way than they are.
  bool odd = false;
};

class StoredKeyedTiles {
 public:
  static constexpr std::int64_t kWide = KeyedTileColumns<Stored>::kWide;
  /// Counts end here, and stay here.
  static constexpr std::int64_t kLargest = std::int64_t{1} << 48;

  StoredKeyedTiles(const KeyShapes& shapes, std::vector<bool> sums)
      : keys(shapes), tracks_(shapes.tracks()), sums_(std::move(sums)) {}

  /// Takes in a section that is not empty, of a record with so many strings; its tiles are appended.
  void read(Reader in, std::size_t strings, std::vector<KeyedTile>& tiles);

  bool has_sums(int track) const { return sums_[static_cast<std::size_t>(track)]; }

  /// Returns what gives the count and the sum of a tile's first key, then of the next one and so on.
  auto counts_of(const KeyedTile& tile) const {
    return [this, row = std::size_t{tile.at}, wide = std::size_t{tile.wide_at}, sum = std::size_t{tile.sum_at},
            summed = has_sums(tile.track)]() mutable {
      std::uint64_t count = columns.counts[row++];
      if (count == kWide) [[unlikely]] count = columns.wides[wide++];
      return std::pair(count, summed ? columns.sums[sum++] : 0.0);
    };
  }

  /// Calls `see(row, count, sum)` with each key of a tile.
  template <class See>
  void each(const KeyedTile& tile, See see) const {
    std::size_t wide = tile.wide_at;
    bool summed = has_sums(tile.track);
    for (std::size_t row = 0; row < tile.keys; ++row) {
      std::int64_t count = columns.counts[tile.at + row];
      if (count == kWide) count = static_cast<std::int64_t>(columns.wides[wide++]);
      see(row, count, summed ? columns.sums[tile.sum_at + row] : 0.0);
    }
  }

  KeyedTileColumns<Stored> columns;
  StoredKeys keys;

 private:
  class Counting;

  void take_counts(std::vector<KeyedTile>& tiles) const;

  const std::size_t tracks_;
  const std::vector<bool> sums_;
};

}  // namespace user_state
