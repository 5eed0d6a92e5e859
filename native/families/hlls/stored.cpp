#include "families/hlls/stored.hpp"

namespace user_state {

void StoredHlls::read(Reader in) {
  HllColumns<Stored> columns;
  read_columns(in, columns, shape());
  const char* coupons = columns.coupons.bytes(0, 0).data();
  take_tiles(columns.tiles, tracks(), coupons, sizeof(std::uint32_t), tiles);
  for (const SketchTile& tile : tiles) {
    if (tile.has_sketch()) continue;
    need(load<std::uint32_t>(tile.items.at) >> kAddressBits > 0, "a coupon has no value");
    need(ascend<std::uint32_t>(tile.items.at, tile.items.size, true), "coupons are not in order");
  }
  take_registers(columns);
}

void StoredHlls::take_registers(const HllColumns<Stored>& columns) {
  registers.clear();
  std::size_t pair = 0, high = 0;
  for (const SketchTile& tile : tiles) {
    if (!tile.has_sketch()) continue;
    StoredRegisters one{columns.bases[tile.sketch], {}, {}};
    std::size_t size = registers_of(tile.track()) / 2;
    one.pairs = columns.pairs.bytes(pair, pair + size);
    pair += size;
    std::uint64_t zeros = 0;
    for (std::size_t at = 0; at < size; at += 8) zeros |= all_set(~load<std::uint64_t>(one.pairs.data() + at));
    one.tight = zeros != 0;
    std::size_t highs = highs_in(one.pairs);
    one.highs = columns.highs.bytes(high, high + highs);
    high += highs;
    need(one.base <= kGreatest, "a register is too large");
    for (char value : one.highs) {
      auto greatest = static_cast<std::uint8_t>(value);
      need(greatest >= one.base + kInHighs, "a register need not be among the high ones");
      need(greatest <= kGreatest, "a register is too large");
    }
    // Others can only be too large if the base is.
    if (one.base > kGreatest - kInHighs + 1) {
      one.each([](std::size_t, std::uint8_t value) { need(value <= kGreatest, "a register is too large"); });
    }
    registers.push_back(one);
  }
}

std::string describe_hlls() { return describe_columns<HllColumns<Stored>>(HllShape{}); }

}  // namespace user_state
