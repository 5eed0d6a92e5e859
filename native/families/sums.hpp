// Adding up doubles pairwise, which loses less than adding one after the other: the error grows with the logarithm of
// how many there are. The order is fixed, so that the same numbers come to the same bits on every machine.
#pragma once

#include <cstddef>

namespace user_state {

namespace sums {

/// Sums `number(begin)` to `number(begin + size - 1)` pairwise: eight running sums a block of up to 128.
template <class Number>
double pairwise(std::size_t begin, std::size_t size, Number number) {
  if (size < 8) {
    double sum = -0.0;
    for (std::size_t at = 0; at < size; ++at) sum += number(begin + at);
    return sum;
  }
  if (size <= 128) {
    double lane[8];
    for (std::size_t at = 0; at < 8; ++at) lane[at] = number(begin + at);
    std::size_t at = 8;
    for (; at < size - size % 8; at += 8) {
      for (std::size_t i = 0; i < 8; ++i) lane[i] += number(begin + at + i);
    }
    double sum = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
    for (; at < size; ++at) sum += number(begin + at);
    return sum;
  }
  std::size_t half = size / 2;
  half -= half % 8;
  return pairwise(begin, half, number) + pairwise(begin + half, size - half, number);
}

}  // namespace sums

/// Sums `number(0)` to `number(size - 1)`, of which there is at least one: the first, and all others pairwise.
///
/// Source of the order: Higham, "The accuracy of floating point summation", SIAM J. Sci. Comput. 1993, section 3;
/// numpy's documentation of `numpy.sum`.
template <class Number>
double reduced(std::size_t size, Number number) {
  return size == 1 ? number(0) : number(0) + sums::pairwise(1, size - 1, number);
}

}  // namespace user_state
