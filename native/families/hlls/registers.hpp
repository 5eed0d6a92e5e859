// HyperLogLog registers of many sketches side by side: user_state/core/coupons.py says what they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace user_state {

using Registers = std::span<std::uint8_t>;

/// Lets rows of registers see tiles of as many: each tile's registers are joined to those of the row it names.
void put_tiles(Registers rows, std::size_t size, std::span<const std::uint8_t> tiles,
               std::span<const std::int64_t> row);

/// Lets rows of 2^n registers see coupons.
void put_coupons(Registers rows, std::size_t size, std::span<const std::int64_t> coupons,
                 std::span<const std::int64_t> row);

/// What a row of registers comes to: the sums of 2^-register over those below 32 and over the others, and how many of
/// them are 0.
struct RegisterSums {
  double low, high;
  std::uint32_t zeros;
};

RegisterSums register_sums(std::span<const std::uint8_t> registers);

}  // namespace user_state
