// KLL sketches as plain values, and who unites them: the DataSketches library, by way of user_state/core/kll.py.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace user_state {

/// No sketch has more levels than this: it would have seen more than there is.
constexpr std::size_t kMostKllLevels = 50;

struct KllSketch {
  /// How many numbers each level has, level 0 first.
  std::vector<std::uint32_t> sizes;
  double least, greatest;
  /// The levels' numbers one after the other.
  std::vector<double> numbers;
};

/// Returns the sketch of size k of everything that sketches of the same k and numbers have seen.
using Unite = std::function<KllSketch(int k, std::span<const KllSketch> sketches, std::span<const double> numbers)>;

}  // namespace user_state
