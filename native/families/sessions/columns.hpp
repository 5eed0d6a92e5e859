// A record's sessions in bytes: those of all tracks, track by track and oldest first, as columns; then what each track's
// sessions come to that are too old to be kept apart. A layout without sessions has no bytes here.
//
// What is nearly always zero is left out: ends nine years before the newest, sessions of more than 71 minutes, sessions
// of more than 256 events.
#pragma once

#include "families/columns.hpp"

namespace user_state {

template <class As>
struct SessionColumns {
  static constexpr std::uint8_t kFarTimes = 1, kLong = 2, kManyEvents = 4;

  std::uint8_t flags = 0;
  typename As::template Column<std::uint32_t> sizes;
  std::int64_t newest_us = 0;
  typename As::template Split<Part<std::uint32_t>, Part<std::uint16_t>, Part<std::uint16_t, kFarTimes>> ages_us;
  typename As::template Split<Part<std::uint32_t>, Part<std::uint32_t, kLong>> lengths_us;
  typename As::template Split<Part<std::uint8_t>, Part<std::uint64_t, kManyEvents>> further_events;
  typename As::template Column<std::uint8_t> mask;
  typename As::template Column<std::int64_t> totals;

  template <class Archive>
  void list(Archive& of, std::size_t tracks) {
    of.flags(flags, {{kFarTimes, "an end is nine years or more before the newest"},
                     {kLong, "a session is longer than 71 minutes"},
                     {kManyEvents, "a session has more than 256 events"}});
    of.column(sizes, {tracks, "track"}, "how many sessions");
    of.number(newest_us, "the newest end of all, microseconds; 0 if there are none");
    Count rows{total(sizes), "session"};
    of.split(ages_us, rows, flags, "microseconds from its end to the newest end");
    of.split(lengths_us, rows, flags, "microseconds from its first to its last event");
    of.split(further_events, rows, flags, "events less one");
    of.column(mask, {(tracks + 7) / 8, "eight tracks"}, "which of them have totals, the first in the lowest bit");
    of.column(totals, {3 * bits_in(mask), "track with totals, three times"}, "sessions, microseconds and events");
  }
};

}  // namespace user_state
