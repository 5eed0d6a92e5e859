// Approximate distinct counts: tiles of coupons, and of registers once those are shorter. What events make of them.
//
// A value's **coupon** is what Apache DataSketches makes of its hash: 26 bits of address, and above them 6 bits with
// the number of leading zeros of the rest of the hash, plus one. A set of coupons counts its values nearly exactly, at
// 4 bytes each: among 10,000 values less than one pair is expected to share one. **Registers** forget more: the lowest
// `lg_k` bits of the address name one of 2^lg_k registers, and each keeps the greatest number of zeros it saw.
//
// Tiles of one place are joined by uniting their coupons and taking the larger of each register. Whether the result
// holds coupons or registers depends on how many coupons there are. All of it is a function of the set of events, so
// neither order nor batches matter, to the bit.
//
// Source: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog", AOFA 2007; DataSketches, `HllSketch`, whose documentation
// gives the standard error of estimates from registers as 1.04 / sqrt(2^lg_k).
#include <algorithm>
#include <bit>

#include "codec/murmur3.hpp"
#include "families/hlls/stored.hpp"
#include "families/sketch_tiles/sketch_tiles.hpp"

namespace user_state {

namespace {

constexpr std::uint64_t kSeed = 9001;

/// The coupon of a value's bytes. Source: DataSketches, `HllSketch`.
std::uint32_t coupon_of(std::string_view bytes) {
  Murmur3::Halves hash = Murmur3::hash(bytes, kSeed);
  auto address = static_cast<std::uint32_t>(hash.first) & ((1u << kAddressBits) - 1);
  std::uint32_t value = std::min(std::countl_zero(hash.second), kGreatest - 1) + 1;
  return value << kAddressBits | address;
}

/// The coupon of eight bytes.
template <class T>
std::uint32_t coupon_of(T number) {
  return coupon_of(std::string_view(reinterpret_cast<const char*>(&number), sizeof(T)));
}

std::size_t most_coupons(int lg_k) { return (std::size_t{1} << lg_k) / 8; }

class Hlls : public SketchTiles<std::uint32_t> {
 public:
  explicit Hlls(const Plan& plan) : SketchTiles(tracks_of(plan), plan.hll_axes), held_(sizes(plan)) {}

  void read(Reader in, const Strings&) override {
    held_.read(in);
    new_.clear();
    tiles_.swap(held_.tiles);
    for (StoredRegisters& registers : held_.registers) {
      if (!registers.tight) tighten(registers);
    }
  }

  void write(Writer& out, const Strings&) const override {
    put_tiles(tiles_, held_.tracks(), fresh_.tiles);
    fresh_.coupons.clear(), fresh_.bases.clear(), fresh_.pairs.clear(), fresh_.highs.clear();
    Appending put_coupons(fresh_.coupons);
    for (const SketchTile& tile : tiles_) {
      if (!tile.has_sketch()) {
        put_coupons(tile.items);
        continue;
      }
      const StoredRegisters& registers = held_.registers[tile.sketch];
      fresh_.bases.push_back(registers.base);
      fresh_.pairs.copy(registers.pairs);
      fresh_.highs.copy(registers.highs);
    }
    put_coupons.end();
    write_columns(out, fresh_, held_.shape());
  }

 protected:
  std::uint32_t item_of(const Events& events, int field, std::size_t place) const override {
    switch (events.kind(field)) {
      case Kind::kString: {
        std::string_view text = events.text(events.integer(field, place));
        return text.empty() ? coupon_of(std::int64_t{0}) : coupon_of(text);
      }
      // Adding 0 makes -0 and 0 one number.
      case Kind::kFloat: return coupon_of(events.real(field, place) + 0.0);
      default: return coupon_of(events.integer(field, place));
    }
  }

  std::uint32_t borrow(const SketchTiles& other, std::uint32_t sketch) override {
    return add(static_cast<const Hlls&>(other).held_.registers[sketch]);
  }

  std::uint32_t unite(int track, std::span<const std::uint32_t> sketches,
                      std::span<const std::uint32_t> coupons) override {
    auto seen = [&](std::uint32_t coupon) { return held_.registers[sketches.front()].have_seen(coupon); };
    if (sketches.size() == 1 && std::ranges::all_of(coupons, seen)) return sketches.front();
    greatest_.assign(held_.registers_of(track), 0);
    auto see = [this](std::size_t number, std::uint8_t value) {
      greatest_[number] = std::max(greatest_[number], value);
    };
    for (std::uint32_t sketch : sketches) held_.registers[sketch].each(see);
    // Their number is a power of two, so this is what is left of the address.
    for (std::uint32_t coupon : coupons) see(coupon & (greatest_.size() - 1), coupon >> kAddressBits);
    return add(packed(greatest_));
  }

 private:
  static std::vector<SketchTrack> tracks_of(const Plan& plan) {
    std::vector<SketchTrack> tracks;
    for (const HllTrack& track : plan.hlls) tracks.push_back({track.filter, track.of, most_coupons(track.lg_k)});
    return tracks;
  }

  static std::vector<int> sizes(const Plan& plan) {
    std::vector<int> made;
    for (const HllTrack& track : plan.hlls) made.push_back(track.lg_k);
    return made;
  }

  std::uint32_t add(const StoredRegisters& registers) {
    held_.registers.push_back(registers);
    return static_cast<std::uint32_t>(held_.registers.size() - 1);
  }

  /// Sees to it that registers have the base that `packed` chooses.
  void tighten(StoredRegisters& registers) {
    greatest_.clear();
    registers.each([this](std::size_t, std::uint8_t value) { greatest_.push_back(value); });
    registers = packed(greatest_);
  }

  StoredRegisters packed(const std::vector<std::uint8_t>& values) {
    std::uint8_t base = *std::ranges::min_element(values);
    Buffer& pairs = new_.add();
    Buffer& highs = new_.add();
    for (std::size_t at = 0; at < values.size(); at += 2) {
      auto nibble = [&](std::uint8_t value) {
        if (value < base + kInHighs) return value - base;
        Writer(highs).put(value);
        return int{kInHighs};
      };
      int even = nibble(values[at]), odd = nibble(values[at + 1]);
      Writer(pairs).put(static_cast<std::uint8_t>(even | odd << 4));
    }
    return {base, pairs.view(), highs.view()};
  }

  StoredHlls held_;
  /// Reused record after record.
  mutable HllColumns<FreshSketches> fresh_;
  std::vector<std::uint8_t> greatest_;
};

}  // namespace

std::unique_ptr<Family> make_hlls(const Plan& plan) { return std::make_unique<Hlls>(plan); }

}  // namespace user_state
