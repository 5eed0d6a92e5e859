// A record's approximate distinct counts in bytes: tiles of coupons, or of registers once those are shorter.
//
// Source of the registers' bytes: `HLL_4` of Apache DataSketches.
#pragma once

#include <span>

#include "families/sketch_tiles/columns.hpp"

namespace user_state {

/// Nibbles of eight bytes of which something holds, as bits.
inline constexpr std::uint64_t kNibbles = 0x1111111111111111;
inline std::uint64_t all_set(std::uint64_t bits) { return bits & bits >> 1 & bits >> 2 & bits >> 3 & kNibbles; }
/// How many nibbles that is. There may be no instruction that counts bits; here there are at most two in a byte, and a
/// product adds up eight bytes.
inline std::uint64_t nibbles_in(std::uint64_t bits) {
  return ((bits + (bits >> 4)) & 0x0303030303030303) * 0x0101010101010101 >> 56;
}

/// How many of these registers, of a multiple of sixteen, are among the high ones. Those to be written are not counted.
inline std::size_t highs_in(std::string_view pairs) {
  std::size_t found = 0;
  for (std::size_t at = 0; at < pairs.size(); at += 8) found += nibbles_in(all_set(load<std::uint64_t>(pairs.data() + at)));
  return found;
}
inline std::size_t highs_in(const Packed<std::uint8_t>& pairs) { return highs_in(pairs.bytes(0, pairs.size())); }
inline std::size_t highs_in(const PiecedColumn<std::uint8_t>&) { return 0; }

struct HllShape {
  /// Of each track: the binary logarithm of how many registers a tile has.
  std::span<const int> lg_k;

  std::size_t registers(std::size_t track) const {
    need(track < lg_k.size(), "a tile is of a track that there is not");
    return std::size_t{1} << lg_k[track];
  }

  /// How many registers all tiles have.
  template <class As>
  std::size_t registers(const SketchTileColumns<As>& tiles) const {
    std::size_t sum = 0;
    for (std::size_t at = 0; at < tiles.sizes.size(); ++at) {
      if (tiles.sizes[at] == 0) sum += registers(tiles.track(at));
    }
    return sum;
  }
};

template <class As>
struct HllColumns {
  SketchTileColumns<As> tiles;
  typename As::template Bulk<std::uint32_t> coupons;
  typename As::template Column<std::uint8_t> bases;
  typename As::template Bulk<std::uint8_t> pairs, highs;

  template <class Archive>
  void list(Archive& of, const HllShape& shape) {
    tiles.list(of, shape.lg_k.size(), {tiles.kManyItems});
    of.column(coupons, {total(tiles.sizes), "item, tile by tile"},
              "coupon: 26 bits of address, above them the value of a register, 1 to 63; they ascend");
    of.column(bases, {tiles.sketches(), "tile of registers"}, "base, the least of them");
    of.column(pairs, {shape.registers(tiles) / 2, "two registers, tile by tile"},
              "each less the base, the even one in the low four bits; 15: see the next high one");
    of.column(highs, {highs_in(pairs), "register that is 15 or more above its base"}, "the register");
  }
};

}  // namespace user_state
