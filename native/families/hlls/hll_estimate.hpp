// How many distinct values registers have seen: the composite estimate of the DataSketches library.
//
//   raw      (0.7213 / (1 + 1.079 / k)) k^2 / sum of 2^-register, over k registers
//   smooth   where `raw` lies between knots of a curve, a cubic through the four nearest
//   linear   k (H(k) - H(registers that are 0)), H(n) being the n-th harmonic number: linear counting
//
// Few values are counted by `linear`, many by `smooth`. The curve is the library's own, as its estimates tell it
// (hll_knots.hpp).
//
// Source: DataSketches, `HllArray::getCompositeEstimate`.
#pragma once

#include <cstdint>
#include <span>

#include "families/hlls/hll_knots.hpp"

namespace user_state::reading {

class HllEstimate {
 public:
  explicit HllEstimate(int lg_k);

  /// Of 2^lg_k registers.
  double operator()(std::span<const std::uint8_t> registers) const;

 private:
  double smooth(double raw) const;

  std::size_t size_;
  double k_, stride_;
  const HllKnots& knots_;
};

}  // namespace user_state::reading
