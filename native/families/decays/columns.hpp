// A record's decayed numbers in bytes: for each decay of the layout these columns.
#pragma once

#include "families/columns.hpp"

namespace user_state {

template <class As>
struct DecayColumns {
  bool begun = false;
  std::int64_t time_us = 0;
  typename As::template Column<double> sums;

  template <class Archive>
  void list(Archive& of, std::size_t half_lives) {
    of.part(begun, "the decay has an event", [&] {
      of.number(time_us, "time of the newest event, microseconds");
      of.column(sums, {half_lives, "half-life"}, "sum, as of that time");
    });
  }
};

}  // namespace user_state
