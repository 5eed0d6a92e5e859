// Registers of HLL sketches as they lie in a section (user_state/codec/hlls.py).
#pragma once

#include <cstdint>
#include <string_view>

#include "codec/bytes.hpp"

namespace user_state {

/// A coupon has its address in so many bits, and its value above them.
inline constexpr int kAddressBits = 26;
/// The greatest a register can be, and the nibble that stands for registers which lie among the highs.
inline constexpr std::uint8_t kGreatest = 63, kInHighs = 15;

/// The registers of one tile as they lie in a section: two a byte, less the base, and those of them that are high.
struct StoredRegisters {
  std::uint8_t base;
  std::string_view pairs, highs;

  /// Calls `see(number, register)` for all of them.
  template <class See>
  void each(See see) const {
    const char* high = highs.data();
    for (std::size_t at = 0; at < 2 * pairs.size(); ++at) {
      std::uint8_t nibble = nibble_of(at);
      see(at, nibble == kInHighs ? static_cast<std::uint8_t>(*high++) : static_cast<std::uint8_t>(base + nibble));
    }
  }

  std::uint8_t nibble_of(std::size_t number) const {
    return static_cast<std::uint8_t>(pairs[number / 2]) >> number % 2 * 4 & 0xF;
  }

  /// Whether a coupon changes nothing; registers that are high are said to change.
  bool have_seen(std::uint32_t coupon) const {
    std::uint8_t nibble = nibble_of(coupon & (2 * pairs.size() - 1));
    return nibble != kInHighs && coupon >> kAddressBits <= std::uint32_t{base} + nibble;
  }
};

/// Nibbles of eight bytes of which something holds, as bits.
inline constexpr std::uint64_t kNibbles = 0x1111111111111111;
inline std::uint64_t all_set(std::uint64_t bits) { return bits & bits >> 1 & bits >> 2 & bits >> 3 & kNibbles; }
/// How many nibbles that is. There may be no instruction that counts bits; here there are at most two in a byte, and a
/// product adds up eight bytes.
inline std::uint64_t nibbles_in(std::uint64_t bits) {
  return ((bits + (bits >> 4)) & 0x0303030303030303) * 0x0101010101010101 >> 56;
}

}  // namespace user_state
