// Approximate distinct counts: user_state/core/hll_tiles.py says what they are, core/coupons.py what coupons and
// registers are, codec/hlls.py has their bytes.
#include <algorithm>
#include <bit>

#include "codec/murmur3.hpp"
#include "families/hlls/stored_registers.hpp"
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

using Registers = StoredRegisters;

class Hlls : public SketchTiles<std::uint32_t> {
 public:
  explicit Hlls(const Plan& plan) : SketchTiles(tracks_of(plan), plan.hll_axes) {
    for (const HllTrack& track : plan.hlls) lg_k_.push_back(track.lg_k);
  }

 protected:
  std::uint32_t item_of(const Events& events, int field, std::uint32_t row) const override {
    switch (events.kind(field)) {
      case Kind::kString: {
        std::string_view text = events.text(events.integer(field, row));
        return text.empty() ? coupon_of(std::int64_t{0}) : coupon_of(text);
      }
      // Adding 0 makes -0 and 0 one number.
      case Kind::kFloat: return coupon_of(events.real(field, row) + 0.0);
      default: return coupon_of(events.integer(field, row));
    }
  }

  void read_sketches(Reader& in, std::span<const int> tracks, std::uint8_t) override {
    held_.clear();
    for (char base : in.bytes(tracks.size())) {
      held_.push_back({static_cast<std::uint8_t>(base), {}, {}});
      need(held_.back().base <= kGreatest);
    }
    for (std::size_t at = 0; at < tracks.size(); ++at) held_[at].pairs = in.bytes(registers_of(tracks[at]) / 2);
    for (Registers& registers : held_) take_highs(in, registers);
  }

  std::uint32_t borrow(const SketchTiles& other, std::uint32_t sketch) override {
    held_.push_back(static_cast<const Hlls&>(other).held_[sketch]);
    return static_cast<std::uint32_t>(held_.size() - 1);
  }

  std::uint32_t unite(int track, std::span<const std::uint32_t> sketches,
                      std::span<const std::uint32_t> coupons) override {
    auto seen = [&](std::uint32_t coupon) { return held_[sketches.front()].have_seen(coupon); };
    if (sketches.size() == 1 && std::ranges::all_of(coupons, seen)) return sketches.front();
    greatest_.assign(registers_of(track), 0);
    auto see = [this](std::size_t number, std::uint8_t value) {
      greatest_[number] = std::max(greatest_[number], value);
    };
    for (std::uint32_t sketch : sketches) held_[sketch].each(see);
    // Their number is a power of two, so this is what is left of the address.
    for (std::uint32_t coupon : coupons) see(coupon & (greatest_.size() - 1), coupon >> kAddressBits);
    held_.push_back(packed(greatest_));
    return static_cast<std::uint32_t>(held_.size() - 1);
  }

  void write_sketches(Writer& out, std::span<const std::uint32_t> sketches, std::uint8_t) const override {
    for (std::uint32_t sketch : sketches) out.put(held_[sketch].base);
    for (std::uint32_t sketch : sketches) out.bytes(held_[sketch].pairs);
    for (std::uint32_t sketch : sketches) out.bytes(held_[sketch].highs);
  }

 private:
  static std::vector<SketchTrack> tracks_of(const Plan& plan) {
    std::vector<SketchTrack> tracks;
    for (const HllTrack& track : plan.hlls) tracks.push_back({track.filter, track.of, most_coupons(track.lg_k)});
    return tracks;
  }

  std::size_t registers_of(int track) const { return std::size_t{1} << lg_k_[track]; }

  /// Takes in the high registers of a tile, and sees to it that it has the base that packing would have chosen.
  void take_highs(Reader& in, Registers& registers) {
    std::uint64_t high = 0, zeros = 0;
    for (std::size_t at = 0; at < registers.pairs.size(); at += 8) {
      auto nibbles = load<std::uint64_t>(registers.pairs.data() + at);
      high += nibbles_in(all_set(nibbles));
      zeros |= all_set(~nibbles);
    }
    registers.highs = in.bytes(high);
    for (char value : registers.highs) {
      auto greatest = static_cast<std::uint8_t>(value);
      need(greatest >= registers.base + kInHighs && greatest <= kGreatest);
    }
    // No other register is beyond the greatest then.
    if (zeros != 0 && registers.base <= kGreatest - kInHighs) return;
    greatest_.clear();
    registers.each([this](std::size_t, std::uint8_t value) {
      need(value <= kGreatest);
      greatest_.push_back(value);
    });
    if (zeros == 0) registers = packed(greatest_);
  }

  Registers packed(const std::vector<std::uint8_t>& values) {
    std::uint8_t base = *std::ranges::min_element(values);
    Buffer& pairs = fresh_.add();
    Buffer& highs = fresh_.add();
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

  std::vector<int> lg_k_;
  std::vector<Registers> held_;
  std::vector<std::uint8_t> greatest_;
};

}  // namespace

std::unique_ptr<Family> make_hlls(const Plan& plan) { return std::make_unique<Hlls>(plan); }

}  // namespace user_state
