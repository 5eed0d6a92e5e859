#include "families/hlls/registers.hpp"

#include <algorithm>
#include <cmath>

namespace user_state {

namespace {

constexpr int kAddressBits = 26;

}  // namespace

void put_tiles(Registers rows, std::size_t size, std::span<const std::uint8_t> tiles,
               std::span<const std::int64_t> row) {
  for (std::size_t at = 0; at < row.size(); ++at) {
    std::uint8_t* into = rows.data() + row[at] * size;
    const std::uint8_t* tile = tiles.data() + at * size;
    for (std::size_t place = 0; place < size; ++place) into[place] = std::max(into[place], tile[place]);
  }
}

void put_coupons(Registers rows, std::size_t size, std::span<const std::int64_t> coupons,
                 std::span<const std::int64_t> row) {
  for (std::size_t at = 0; at < row.size(); ++at) {
    std::uint8_t& into = rows[row[at] * size + (coupons[at] & (size - 1))];
    into = std::max(into, static_cast<std::uint8_t>(coupons[at] >> kAddressBits));
  }
}

RegisterSums register_sums(std::span<const std::uint8_t> registers) {
  // In whole numbers, of 2^-31 and of 2^-63: there are no more than 2^14 registers.
  std::uint64_t low = 0, high = 0;
  std::uint32_t zeros = 0;
  for (std::uint8_t value : registers) {
    std::uint64_t half = std::uint64_t{1} << (31 - value % 32);
    low += value < 32 ? half : 0;
    high += value < 32 ? 0 : half;
    zeros += value == 0;
  }
  return {std::ldexp(static_cast<double>(low), -31), std::ldexp(static_cast<double>(high), -63), zeros};
}

}  // namespace user_state
