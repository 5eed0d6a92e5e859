// A record's gaps in bytes: of each track its tiles, track by track and oldest first; then the times of events that a later
// one may still come before, newest first. A layout without gaps has no bytes here.
//
// What is nearly always zero is left out: events nine years before the newest, stretches, gaps and times 71 minutes apart.
#pragma once

#include "families/columns.hpp"

namespace user_state {

template <class As>
struct GapColumns {
  static constexpr std::uint8_t kFar = 1, kLong = 2, kFarApart = 4;

  std::uint8_t flags = 0;
  typename As::template Column<std::uint32_t> tiles, open;
  std::int64_t newest_us = 0;
  typename As::template Column<std::uint32_t> starts_s;
  typename As::template Split<Part<std::uint32_t>, Part<std::uint16_t>, Part<std::uint16_t, kFar>> ages_us;
  typename As::template Split<Part<std::uint32_t>, Part<std::uint32_t, kLong>> lengths_us, longest;
  typename As::template Split<Part<std::uint32_t>, Part<std::uint32_t, kFarApart>> earlier_us;

  template <class Archive>
  void list(Archive& of, std::size_t tracks) {
    of.flags(flags, {{kFar, "an event is nine years or more before the newest"},
                     {kLong, "the events of a tile span more than 71 minutes"},
                     {kFarApart, "times are more than 71 minutes apart"}});
    of.column(tiles, {tracks, "track"}, "how many tiles");
    of.column(open, {tracks, "track"}, "how many times; two for any more at one time");
    of.number(newest_us, "the newest event of all, microseconds; 0 if there are none");
    Count rows{total(tiles), "tile"};
    of.column(starts_s, rows, "second that it begins at; 0 is the lifetime tile");
    of.split(ages_us, rows, flags, "microseconds from its last event to the newest of all");
    of.split(lengths_us, rows, flags, "microseconds from its first to its last event");
    of.split(longest, rows, flags, "longest gap between two of its events, microseconds and one; 0 if it has one event");
    of.split(earlier_us, {total(open), "time"}, flags, "microseconds before the time above; the first, before the newest of all");
  }
};

}  // namespace user_state
