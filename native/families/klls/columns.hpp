// A record's approximate quantiles in bytes: tiles of values, or of a KLL sketch once there are more than k.
#pragma once

#include "families/sketch_tiles/columns.hpp"

namespace user_state {

template <class As>
struct KllColumns {
  SketchTileColumns<As> tiles;
  typename As::template Bulk<float> single_values;
  typename As::template Bulk<double> values;
  typename As::template Column<std::uint8_t> levels;
  typename As::template Column<std::uint16_t> sizes;
  typename As::template Column<double> least, greatest;
  typename As::template Bulk<float> single_numbers;
  typename As::template Bulk<double> numbers;

  bool single() const { return tiles.flags & tiles.kSingle; }

  template <class Archive>
  void list(Archive& of, std::size_t tracks) {
    tiles.list(of, tracks, {tiles.kManyItems, tiles.kSinglePrecision});
    std::size_t items = total(tiles.sizes), sketches = tiles.sketches();
    of.column(single_values, {single() ? items : 0, "item, tile by tile, if in single precision"}, "value; they ascend");
    of.column(values, {single() ? 0 : items, "item, tile by tile, if not"}, "value; they ascend");
    of.column(levels, {sketches, "sketch"}, "how many levels it has");
    of.column(sizes, {total(levels), "level, the lowest of a sketch first"},
              "how many numbers it has, each of which stands for 2^level");
    of.column(least, {sketches, "sketch"}, "the least number seen");
    of.column(greatest, {sketches, "sketch"}, "the greatest number seen");
    std::size_t size = total(sizes);
    of.column(single_numbers, {single() ? size : 0, "number, level by level, if in single precision"},
              "number; but for a sketch's lowest level, they ascend");
    of.column(numbers, {single() ? 0 : size, "number, level by level, if not"}, "number");
  }
};

}  // namespace user_state
