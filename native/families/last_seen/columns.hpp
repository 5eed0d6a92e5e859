// A record's values and days last seen in bytes: the rows of all tracks, track by track, as columns. A layout without
// tracks has no bytes here.
//
// A track of values is in the order of its values, each once. A track of days has one row a day, in the order of days;
// the day is not stored, since it follows from the second. What is nearly always zero is left out: ages of 194 days or
// more.
#pragma once

#include "families/columns.hpp"

namespace user_state {

template <class As>
struct LastSeenColumns {
  static constexpr std::uint8_t kFarTimes = 1;

  std::uint8_t flags = 0;
  typename As::template Column<std::uint16_t> sizes;
  std::uint32_t newest_s = 0;
  typename As::template Split<Part<std::uint16_t>, Part<std::uint8_t>, Part<std::uint8_t, kFarTimes>> ages_s;
  typename As::template Column<std::int64_t> values;

  /// `of_days` says of each track whether it is one of days.
  template <class Archive>
  void list(Archive& of, const std::vector<bool>& of_days) {
    of.flags(flags, {{kFarTimes, "a row is 194 days or more older than the newest"}});
    of.column(sizes, {of_days.size(), "track"}, "how many rows");
    of.number(newest_s, "the newest second of all; 0 if there are none");
    of.split(ages_s, {total(sizes), "row"}, flags, "seconds before the newest");
    std::size_t valued = 0;
    for (std::size_t track = 0; track < sizes.size(); ++track) valued += of_days[track] ? 0 : sizes[track];
    of.column(values, {valued, "row of a track of values"},
              "xxh64 of a string, the bits of a float, an integer; ascending in a track");
  }
};

}  // namespace user_state
