// Real numbers as whole multiples of a step, a row of them sharing one: block floating point.
//
//     number = step * m, m being i2 or i4, step = largest of the row / kLimit of the width
//
// A row that is folded again and again is rounded again and again. Rounded to the nearest, it would drift: what is
// added is always rounded the same way, and what is less than half a step is lost for good. So a number between two
// multiples goes to the upper one with a probability of how near it lies, which errs by 0 on average. The lot is drawn
// from the row's seed, so that the same numbers give the same bytes. Errors of different folds are independent: after F
// folds that still carry weight a number is off by less than sqrt(F)/2 steps in two of three cases.
//
//     bytes   a step, of the row's largest    off after 1,000 folds, of the largest
//     4       4.7e-10                         7e-9
//     2       3.1e-5                          5e-4
//
// What was decoded and is encoded unchanged keeps its bytes: within kSnap steps of a multiple, it is that multiple.
// Loops are plain, so that the compiler computes several numbers at a time.
//
// Source of unbiased rounding: Forsythe, "Reprint of a note on rounding-off errors", SIAM Review 1959; Croci et al.,
// "Stochastic rounding: implementation, error analysis and applications", Royal Society Open Science 2022.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "codec/bytes.hpp"

namespace user_state::steps {

constexpr double kSnap = 1e-3;
constexpr double kGolden = 0.6180339887498949;

/// The largest number of steps of a width.
template <class Step>
constexpr double kLimit = std::numeric_limits<Step>::max();

/// The nearest whole number, of halves the even one; of numbers far below 2^51.
inline double nearest(double number) {
  constexpr double kWithoutFraction = 0x1.8p52;
  return (number + kWithoutFraction) - kWithoutFraction;
}

/// The next whole number below, of numbers far below 2^51.
inline double floored(double number) {
  double whole = nearest(number);
  return whole - (whole > number ? 1.0 : 0.0);
}

/// Takes as many numbers as there is room for from their steps, from place `begin` on; `largest` is the largest of them,
/// but numbers may come out larger.
template <class Step>
void take(const Packed<Step>& steps, std::size_t begin, double largest, std::span<double> numbers) {
  const char* from = steps.bytes(begin, begin + numbers.size()).data();
  for (std::size_t at = 0; at < numbers.size(); ++at) {
    // In this order, so that the largest comes back to the last bit.
    numbers[at] = static_cast<double>(load<Step>(from + at * sizeof(Step))) / kLimit<Step> * largest;
  }
}

/// Returns the largest magnitude of numbers that are none of them NaN.
inline double largest_of(std::span<const double> numbers) {
  std::array<double, 8> lanes{};
  std::size_t at = 0;
  for (; at + lanes.size() <= numbers.size(); at += lanes.size()) {
    for (std::size_t lane = 0; lane < lanes.size(); ++lane) {
      double magnitude = std::fabs(numbers[at + lane]);
      lanes[lane] = lanes[lane] < magnitude ? magnitude : lanes[lane];
    }
  }
  for (; at < numbers.size(); ++at) lanes[0] = std::max(lanes[0], std::fabs(numbers[at]));
  return *std::ranges::max_element(lanes);
}

/// Returns a number from 0 to 1 that looks drawn at random: the finaliser of splitmix64.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
inline double mixed(std::uint64_t seed) {
  std::uint64_t x = seed * 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1p-53;
}

/// Puts finite numbers as steps, `largest` being the largest magnitude; `seed` is what lots are drawn from.
template <class Step>
void put(std::span<const double> numbers, double largest, std::uint64_t seed, Step* to) {
  double lot = mixed(seed), divisor = largest > 0 ? largest : 1.0;
  // Counted in 32 bits, which processors make into doubles several at a time.
  for (int at = 0; at < static_cast<int>(numbers.size()); ++at) {
    double exact = numbers[at] / divisor * kLimit<Step>;
    double near = nearest(exact);
    double lots = lot + kGolden * at;
    double drawn = floored(exact + (lots - floored(lots)));
    double chosen = std::fabs(exact - near) < kSnap ? near : drawn;
    to[at] = static_cast<Step>(static_cast<std::int32_t>(chosen));
  }
}

}  // namespace user_state::steps
