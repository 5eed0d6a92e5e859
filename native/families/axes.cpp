#include "families/axes.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "codec/bytes.hpp"

namespace user_state {

TrackAxes::TrackAxes(std::vector<Axis> axes, std::vector<int> axis_of, std::int64_t skew_s)
    : axes_(std::move(axes)), axis_of_(std::move(axis_of)), skew_s_(skew_s) {
  for (Axis& axis : axes_) {
    for (std::size_t at = 0; at < axis.levels.size(); ++at) {
      Level& level = axis.levels[at];
      level.rounding_s = axis.levels[std::min(at + 1, axis.levels.size() - 1)].width_s;
      // Of a width of 1 it comes to 0, and what is not more than 0 - 1 is every number.
      level.inverse = std::numeric_limits<std::uint64_t>::max() / static_cast<std::uint64_t>(level.width_s) + 1;
    }
  }
}

bool TrackAxes::same_places(std::int64_t clock_us, std::int64_t other_us) const {
  std::int64_t clock_s = floor_div(clock_us, 1'000'000) - skew_s_, other_s = floor_div(other_us, 1'000'000) - skew_s_;
  if (clock_s == other_s) return true;
  for (const Axis& axis : axes_) {
    for (const Level& level : axis.levels) {
      if (floor_div(clock_s - level.reach_s, level.rounding_s) != floor_div(other_s - level.reach_s, level.rounding_s)) {
        return false;
      }
    }
  }
  return true;
}

void TrackAxes::set_clock(std::int64_t clock_us) {
  std::int64_t clock_s = floor_div(clock_us, 1'000'000) - skew_s_;
  for (Axis& axis : axes_) {
    for (Level& level : axis.levels) {
      level.cut_s = floor_div(clock_s - level.reach_s, level.rounding_s) * level.rounding_s;
    }
  }
}

}  // namespace user_state
