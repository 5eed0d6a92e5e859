#include "families/axes.hpp"

#include <algorithm>
#include <utility>

#include "codec/bytes.hpp"

namespace user_state {

TrackAxes::TrackAxes(std::vector<Axis> axes, std::vector<int> axis_of, std::int64_t skew_s)
    : axes_(std::move(axes)), axis_of_(std::move(axis_of)), skew_s_(skew_s) {
  for (Axis& axis : axes_) {
    for (std::size_t at = 0; at < axis.levels.size(); ++at) {
      axis.levels[at].rounding_s = axis.levels[std::min(at + 1, axis.levels.size() - 1)].width_s;
    }
  }
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
