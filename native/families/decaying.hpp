// What families have in common whose numbers decay (forward decay). For each half-life H a family keeps
//
//     S = sum over events of x_i 2^-((T - t_i)/H)
//
// as of a reference time T, that of the newest matching event; times are in microseconds. x_i is what an event adds: 1,
// a number, or a vector. Moving T forward multiplies every S of one H by one factor, so two states are joined by
// bringing both to the later T and adding. So neither order nor batches matter, but for how sums round; late events are
// exact; and nothing is written because time passed.
//
// Source: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay: A Practical Time Decay Model for Streaming Systems",
// ICDE 2009, section IV.
#pragma once

#include <cmath>
#include <cstdint>

#include "codec/bytes.hpp"

namespace user_state {

/// Returns what of 1 is left after so long.
inline double left_of_one(std::int64_t age_us, std::int64_t half_life_us) {
  return std::exp2(-(static_cast<double>(age_us) / static_cast<double>(half_life_us)));
}

}  // namespace user_state
