// What families have in common whose numbers decay: sums as of a time, that of the newest event (forward decay). Brought
// to a later time, sums add up, so late events, batches and merges are exact.
//
// Source: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay: A Practical Time Decay Model for Streaming Systems", ICDE
// 2009, section IV.
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
