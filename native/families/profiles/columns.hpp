// A record's profiles in bytes: for each profile of the layout these columns.
#pragma once

#include "families/columns.hpp"

namespace user_state {

template <class As>
struct ProfileColumns {
  bool begun = false;
  std::int64_t time_us = 0;
  typename As::template Column<std::uint8_t> mask;
  typename As::template Column<double> sums;

  template <class Archive>
  void list(Archive& of, std::size_t half_lives, std::size_t bins) {
    of.part(begun, "the profile has an event", [&] {
      of.number(time_us, "time of the newest event, microseconds");
      of.column(mask, {(bins + 7) / 8, "eight bins"}, "which of them hold something, the first in the lowest bit");
      of.column(sums, {half_lives * bits_in(mask), "half-life and bin that holds something"}, "sum, as of that time");
    });
  }
};

}  // namespace user_state
