// The curve by which the DataSketches library corrects raw estimates of distinct counts, as its knots: the raw estimates,
// ascending, at which it says 0, 5/128 of the number of registers, twice that and so on (hll_estimate.hpp).
#pragma once

#include <array>

namespace user_state::reading {

using HllKnots = std::array<double, 257>;

inline constexpr int kLeastLgK = 7;

/// Of 2^lg_k registers. Throws std::invalid_argument for sizes that no plan has (user_state/plan/hll.py).
const HllKnots& hll_knots(int lg_k);

}  // namespace user_state::reading
