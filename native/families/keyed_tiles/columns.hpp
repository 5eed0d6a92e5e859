// A record's keyed tiles in bytes: counts and sums by key, in tiles of time. A layout without such tracks, and a record
// without such tiles, have no bytes here.
#pragma once

#include <array>
#include <vector>

#include "families/columns.hpp"
#include "families/keyed/shapes.hpp"
#include "families/keyed/written.hpp"

namespace user_state {

struct KeyedTileShape {
  const KeyShapes& keys;
  /// Of each track, whether it keeps sums.
  const std::vector<bool>& sums;

  /// How many keys tiles with sums have, and how many of those have a rest; of tiles that were counted already.
  std::size_t summed(const NarrowView& tracks, const NarrowView& keys_of) const {
    std::size_t found = 0;
    for (std::size_t at = 0; at < tracks.size(); ++at) found += sums[tracks[at]] ? keys_of[at] : 0;
    return found;
  }
  std::size_t summed_rests(const NarrowView& tracks, const NarrowView& rests) const {
    std::size_t found = 0;
    for (std::size_t at = 0; at < tracks.size(); ++at) found += sums[tracks[at]] && rests[at] > 0;
    return found;
  }
  /// Those that are to be written are not counted.
  std::size_t summed(const NarrowNumbers&, const NarrowNumbers&) const { return 0; }
  std::size_t summed_rests(const NarrowNumbers&, const NarrowNumbers&) const { return 0; }
};

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

  template <class Archive>
  void list(Archive& of, const KeyedTileShape& shape) {
    of.number(tiles, "how many tiles, by start and then track");
    of.number(lifetime, "how many of them are lifetime tiles: the first ones");
    of.number(first_s, "start of the next, seconds");
    of.widths(widths, "bytes of a number: steps, tracks, keys, rests, strings, others, wide counts");
    of.narrow(steps_s, widths[kSteps], {tiles - lifetime, "tile but those of a lifetime"}, "seconds from the one before");
    of.narrow(tracks, widths[kTracks], {tiles, "tile"}, "its track");
    of.narrow(keys, widths[kKeys], {tiles, "tile"}, "how many keys it has");
    of.narrow(rests, widths[kRests], {tiles, "tile"}, "count of what belongs to no key any more");
    of.narrow(texts, widths[kTexts], {shape.keys.parts(tracks, keys, true), "key and field of strings"},
              "its number in the dictionary; all first fields, then all second and all third ones");
    of.narrow(numbers, widths[kNumbers], {shape.keys.parts(tracks, keys, false), "key and other field"},
              "an int, zigzag, or a bool as 0 or 1; in the same order");
    of.column(counts, {total(keys), "key"}, "its count; 255: see the next wide one");
    of.narrow(wides, widths[kWides], {marked(counts, kWide), "count of 255 or more"}, "the count");
    of.column(sums, {shape.summed(tracks, keys), "key of a track with sums"}, "its sum");
    of.column(rest_sums, {shape.summed_rests(tracks, rests), "rest of a track with sums"}, "its sum");
  }
};

}  // namespace user_state
