// A record's tiles in bytes: when any of them begins, and which tracks have one there. Tracks share the starts, because
// a user who acts acts in several tracks at once; tiles of one start are a bucket. What numbers a tile has depends on
// the kind of its track (tile_values.hpp). A layout without tracks has no bytes here.
#pragma once

#include <array>

#include "families/columns.hpp"
#include "families/tiles/tile_values.hpp"

namespace user_state {

/// What tiles are cut by where nothing is to be counted, since they are written or described.
struct TileShape {
  /// How many bytes the mask of a bucket has, and how many numbers a tile has at most.
  std::size_t mask_bytes, width;

  template <class Masks>
  void count(const Masks&) const {}
  std::size_t tiles_with(std::size_t) const { return 0; }
};

template <class As>
struct TileColumns {
  /// A count that says that the next wide one is meant.
  static constexpr std::uint8_t kWide = 255;

  std::uint16_t buckets = 0;
  std::uint32_t tiles = 0, wide = 0;
  typename As::template Column<std::uint32_t> starts_s;
  typename As::template Column<std::uint8_t> masks, counts;
  typename As::template Column<std::uint64_t> wide_counts;
  std::array<typename As::template Column<double>, kMostNumbers> numbers;

  /// `shape` is a TileShape, or something like it that counts in the masks how many numbers there are.
  template <class Archive, class Shape>
  void list(Archive& of, const Shape& shape) {
    of.number(buckets, "how many buckets");
    of.number(tiles, "how many tiles");
    of.number(wide, "how many of them have 255 events or more");
    of.column(starts_s, {buckets, "bucket"}, "its start, seconds; they ascend");
    of.column(masks, {shape.mask_bytes * buckets, "bucket and eight tracks"},
              "which of them have a tile there, the first in the lowest bit");
    shape.count(masks);
    of.column(counts, {tiles, "tile, by bucket, then track"}, "its events; 255: see the next wide count");
    of.column(wide_counts, {wide, "tile of 255 events or more"}, "its events");
    for (std::size_t at = 0; at < shape.width; ++at) {
      of.column(numbers[at], {shape.tiles_with(at), kEach[at]}, kMeaning[at]);
    }
  }

 private:
  static constexpr std::array kEach{
      "tile of a track that keeps a number",
      "tile of a track that keeps two",
      "tile of a track that keeps three",
      "tile of a track that keeps four",
  };
  static constexpr std::array kMeaning{
      "sum of values or of logarithms, smallest or largest value, or first time, microseconds",
      "second central moment times count, or last time, microseconds",
      "third central moment times count",
      "fourth central moment times count",
  };
};

}  // namespace user_state
