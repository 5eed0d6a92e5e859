// Parts of a section that a record may lack: user_state/codec/optional_parts.py; and what a part is that decays.
#pragma once

#include <cmath>

#include "codec/bytes.hpp"

namespace user_state {

/// Takes the mark that a part begins with: whether it is there.
inline bool take_mark(Reader& in) {
  auto mark = in.take<std::uint8_t>();
  need(mark <= 1);
  return mark == 1;
}

inline void put_mark(Writer& out, bool present) { out.put(static_cast<std::uint8_t>(present)); }

/// Takes a time that sums are seen at.
inline std::int64_t take_time(Reader& in) {
  auto time_us = in.take<std::int64_t>();
  need(time_us > 0);
  return time_us;
}

/// Returns what of 1 is left after so long: forward decay, see user_state/core/vectors.py.
inline double left_of_one(std::int64_t age_us, std::int64_t half_life_us) {
  return std::exp2(-(static_cast<double>(age_us) / static_cast<double>(half_life_us)));
}

}  // namespace user_state
