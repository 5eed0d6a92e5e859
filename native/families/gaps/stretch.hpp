// What is known of some of a user's events, one after the other: when the first and the last of them were, and the longest
// time between two that follow each other.
//
// Two stretches of which one ends before the other begins are joined exactly. Where they overlap, events of one lie in
// gaps of the other, and nobody can say in which: then the longest gap of the two stands, which is never too short.
#pragma once

#include <algorithm>
#include <cstdint>

namespace user_state {

struct Stretch {
  /// No gap: there is only one event.
  static constexpr std::int64_t kOneEvent = -1;

  std::int64_t first_us, last_us, longest_us;

  static Stretch of(std::int64_t time_us) { return {time_us, time_us, kOneEvent}; }

  /// Takes in the events of another.
  void join(const Stretch& other) {
    std::int64_t between_us = std::max(first_us, other.first_us) - std::min(last_us, other.last_us);
    // Not negative: one begins when the other has ended. Events at one time are a gap of 0 apart.
    longest_us = std::max({longest_us, other.longest_us, between_us});
    first_us = std::min(first_us, other.first_us);
    last_us = std::max(last_us, other.last_us);
  }
};

}  // namespace user_state
