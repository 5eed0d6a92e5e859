// The approximate distinct counts of one record, where its section has them: what folding and reading have in common.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "families/hlls/columns.hpp"
#include "families/sketch_tiles/stored.hpp"

namespace user_state {

/// A coupon has its address in so many bits, and its value above them.
inline constexpr int kAddressBits = 26;
/// The greatest a register can be, and the nibble that stands for registers which lie among the highs.
inline constexpr std::uint8_t kGreatest = 63, kInHighs = 15;

/// The registers of one tile as they lie in a section: two a byte, less the base, and those of them that are high.
struct StoredRegisters {
  std::uint8_t base = 0;
  std::string_view pairs, highs;
  /// Whether the base is the least register, as it is where registers were packed.
  bool tight = true;

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

class StoredHlls {
 public:
  /// `lg_k` is, of each track, the binary logarithm of how many registers a tile has.
  explicit StoredHlls(std::vector<int> lg_k) : lg_k_(std::move(lg_k)) {}

  void read(Reader in);

  std::size_t registers_of(int track) const { return std::size_t{1} << lg_k_[track]; }
  std::size_t tracks() const { return lg_k_.size(); }
  HllShape shape() const { return {lg_k_}; }

  /// Their items are coupons.
  std::vector<SketchTile> tiles;
  std::vector<StoredRegisters> registers;

 private:
  void take_registers(const HllColumns<Stored>& columns);

  std::vector<int> lg_k_;
};

}  // namespace user_state
