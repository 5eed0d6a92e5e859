#include "families/hlls/hll_estimate.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace user_state::reading {

namespace {

/// Registers from this value on are added up apart, so that no digit is lost.
constexpr int kHalf = 32;

double harmonic(std::size_t n) {
  constexpr std::size_t kSmall = 25;
  static const std::array<double, kSmall> small = [] {
    std::array<double, kSmall> made{};
    for (std::size_t at = 1; at < kSmall; ++at) made[at] = made[at - 1] + 1.0 / static_cast<double>(at);
    return made;
  }();
  if (n < kSmall) return small[n];
  constexpr double kEuler = 0.577215664901532860606512090082;
  double x = static_cast<double>(n), inverse = 1.0 / (x * x), power = inverse;
  double sum = std::log(x) + kEuler + 1.0 / (2.0 * x);
  sum -= power * (1.0 / 12.0);
  power *= inverse;
  sum += power * (1.0 / 120.0);
  power *= inverse;
  sum -= power * (1.0 / 252.0);
  power *= inverse;
  return sum + power * (1.0 / 240.0);
}

/// The cubic through four knots, of which the y are `stride` apart, at a raw estimate.
double cubic(const double* x, double first_y, double stride, double raw) {
  double value = 0;
  for (int at = 0; at < 4; ++at) {
    double above = 1, below = 1;
    for (int other = 0; other < 4; ++other) {
      if (other == at) continue;
      above *= raw - x[other];
      below *= x[at] - x[other];
    }
    value += (first_y + stride * at) * above / below;
  }
  return value;
}

}  // namespace

HllEstimate::HllEstimate(int lg_k)
    : size_(std::size_t{1} << lg_k),
      k_(static_cast<double>(size_)),
      // The library's curve has a knot every 5 values of 128 registers, and so on.
      stride_(5 * k_ / 128),
      knots_(hll_knots(lg_k)) {}

double HllEstimate::operator()(std::span<const std::uint8_t> registers) const {
  static constexpr auto powers = [] {
    std::array<std::uint64_t, 2 * kHalf> made{};
    for (int value = 0; value < 2 * kHalf; ++value) made[value] = std::uint64_t{1} << (kHalf - 1 - value % kHalf);
    return made;
  }();
  std::uint64_t low = 0, high = 0;
  std::size_t zeros = 0;
  for (std::uint8_t value : registers) {
    (value < kHalf ? low : high) += powers[value];
    zeros += value == 0;
  }
  double sum = std::ldexp(static_cast<double>(low), 1 - kHalf) + std::ldexp(static_cast<double>(high), 1 - 2 * kHalf);
  double raw = (0.7213 / (1.0 + 1.079 / k_)) * k_ * k_ / sum;
  if (raw < knots_.front()) return 0;
  double found = smooth(raw);
  if (found > 3 * k_) return found;
  constexpr double kCrossover = 0.64;
  double linear = zeros == 0 ? k_ * std::log(k_ / 0.5) : k_ * (harmonic(size_) - harmonic(zeros));
  return (found + linear) / 2 > kCrossover * k_ ? found : linear;
}

double HllEstimate::smooth(double raw) const {
  std::size_t last = knots_.size() - 1;
  double greatest = stride_ * static_cast<double>(last);
  if (raw >= knots_[last]) return raw * (greatest / knots_[last]);
  auto after = static_cast<std::size_t>(std::ranges::upper_bound(knots_, raw) - knots_.begin());
  std::size_t first = std::clamp<std::size_t>(after, 2, last - 1) - 2;
  return cubic(knots_.data() + first, stride_ * static_cast<double>(first), stride_, raw);
}

}  // namespace user_state::reading
