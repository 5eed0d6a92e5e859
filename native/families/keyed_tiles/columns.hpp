// A record's keyed tiles in bytes: counts and sums by key, in tiles of time. A layout without such tracks, and a record
// without such tiles, have no bytes here.
#pragma once

#include <array>

#include "families/columns.hpp"
#include "families/keyed/shapes.hpp"
#include "families/keyed/written.hpp"

namespace user_state {

template <class As>
struct KeyedTileColumns {
  /// A count that is larger stands among the wide ones.
  static constexpr std::uint8_t kWide = 255;
  enum Width { kSteps, kTracks, kKeys, kRests, kTexts, kNumbers, kWides };

  std::uint32_t tiles = 0;
  std::uint16_t lifetime = 0;
  std::uint32_t first_s = 0;
  std::array<std::uint8_t, 7> widths{};
  typename As::Narrow steps_s, tracks, keys, rests;
  typename As::BulkNarrow texts, numbers, wides;
  typename As::template Bulk<std::uint8_t> counts;
  typename As::template Bulk<double> sums;
  typename As::template Column<double> rest_sums;

  /// `shape` is a KeyedShape, or something like it that counts what tiles have.
  template <class Archive, class Shape>
  void list(Archive& of, const Shape& shape) {
    of.number(tiles, "how many tiles, by start and then track");
    of.number(lifetime, "how many of them are lifetime tiles: the first ones");
    of.number(first_s, "start of the next, seconds");
    of.widths(widths, "bytes of a number: steps, tracks, keys, rests, strings, others, wide counts");
    of.narrow(steps_s, widths[kSteps], {tiles - lifetime, "tile but those of a lifetime"}, "seconds from the one before");
    of.narrow(tracks, widths[kTracks], {tiles, "tile"}, "its track");
    of.narrow(keys, widths[kKeys], {tiles, "tile"}, "how many keys it has");
    of.narrow(rests, widths[kRests], {tiles, "tile"}, "count of what belongs to no key any more");
    shape.count(*this);
    of.narrow(texts, widths[kTexts], {shape.texts(), "key and field of strings"},
              "its number in the dictionary; all first fields, then all second and all third ones");
    of.narrow(numbers, widths[kNumbers], {shape.numbers(), "key and other field"},
              "an int, zigzag, or a bool as 0 or 1; in the same order");
    of.column(counts, {shape.keys(), "key"}, "its count; 255: see the next wide one");
    of.narrow(wides, widths[kWides], {marked(counts, kWide), "count of 255 or more"}, "the count");
    of.column(sums, {shape.summed(), "key of a track with sums"}, "its sum");
    of.column(rest_sums, {shape.summed_rests(), "rest of a track with sums"}, "its sum");
  }
};

}  // namespace user_state
