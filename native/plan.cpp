#include "plan.hpp"

#include <algorithm>
#include <utility>

#include "codec/bytes.hpp"

namespace user_state {

namespace {

constexpr std::int64_t kDayS = 86'400;
/// 1970-01-01 was a Thursday, three days after a Monday.
constexpr std::int64_t kMondayBefore1970 = 3;

}  // namespace

LocalTime::LocalTime(std::vector<std::int64_t> transitions_s, std::vector<std::int64_t> offsets_s)
    : transitions_s_(std::move(transitions_s)), offsets_s_(std::move(offsets_s)) {
  // Dates that do not exist, since clocks went from their first midnight or before to their last or after.
  for (std::size_t at = 0; at < transitions_s_.size(); ++at) {
    std::int64_t date = -floor_div(-(transitions_s_[at] + offsets_s_[at]), kDayS);
    for (; date < floor_div(transitions_s_[at] + offsets_s_[at + 1], kDayS); ++date) left_out_.push_back(date);
  }
}

std::int64_t LocalTime::local_s(std::int64_t second) const {
  return second + offsets_s_[std::ranges::upper_bound(transitions_s_, second) - transitions_s_.begin()];
}

std::int64_t LocalTime::day(std::int64_t second) const {
  std::int64_t date = floor_div(local_s(second), kDayS);
  return date - (std::ranges::lower_bound(left_out_, date) - left_out_.begin());
}

int LocalTime::hour(std::int64_t second) const {
  std::int64_t local = local_s(second);
  return static_cast<int>((local - floor_div(local, kDayS) * kDayS) / 3600);
}

int LocalTime::weekday(std::int64_t second) const {
  std::int64_t days = floor_div(local_s(second), kDayS) + kMondayBefore1970;
  return static_cast<int>(days - floor_div(days, 7) * 7);
}

}  // namespace user_state
