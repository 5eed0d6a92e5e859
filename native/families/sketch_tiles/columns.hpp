// Tiles that hold a few items or a sketch each, in bytes: when each begins, of which track it is, and how many items it
// has. Items and sketches follow as the family's own columns. A layout without such tracks has no bytes here.
#pragma once

#include <initializer_list>

#include "families/columns.hpp"
#include "families/pieced.hpp"

namespace user_state {

/// Columns to be written, in which most items and sketches are copied.
struct FreshSketches : Fresh {
  template <class T>
  using Bulk = PiecedColumn<T>;
};

template <class As>
struct SketchTileColumns {
  static constexpr std::uint8_t kMany = 1, kSingle = 2;
  static constexpr Flag kManyItems{kMany, "a tile has 256 items or more"};
  /// Of numbers alone.
  static constexpr Flag kSinglePrecision{kSingle, "all numbers are the same in single precision"};
  /// The numbers of so many tracks fit a byte.
  static constexpr std::size_t kFew = 256;

  std::uint8_t flags = 0;
  std::uint32_t tiles = 0;
  typename As::template Column<std::uint32_t> starts_s;
  typename As::template Column<std::uint8_t> few_tracks;
  typename As::template Column<std::uint16_t> many_tracks;
  typename As::template Split<Part<std::uint8_t>, Part<std::uint8_t, kMany>> sizes;

  template <class Archive>
  void list(Archive& of, std::size_t tracks, std::initializer_list<Flag> known) {
    of.flags(flags, known);
    of.number(tiles, "how many tiles");
    of.column(starts_s, {tiles, "tile"}, "its start, seconds; 0 is the lifetime tile; they ascend");
    of.column(few_tracks, {tracks > 1 && tracks <= kFew ? tiles : 0, "tile, if the layout has 2 to 256 tracks"},
              "its track; they ascend within a start");
    of.column(many_tracks, {tracks > kFew ? tiles : 0, "tile, if the layout has more than 256 tracks"}, "its track");
    of.split(sizes, {tiles, "tile"}, flags, "how many items it has; 0: it has a sketch");
  }

  /// How many tiles have a sketch.
  std::size_t sketches() const {
    std::size_t found = 0;
    for (std::size_t at = 0; at < sizes.size(); ++at) found += sizes[at] == 0;
    return found;
  }

  /// The track of a tile.
  std::size_t track(std::size_t tile) const {
    if (few_tracks.size() > 0) return few_tracks[tile];
    return many_tracks.size() > 0 ? many_tracks[tile] : 0;
  }
};

}  // namespace user_state
