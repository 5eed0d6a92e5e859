// Approximate distinct counts: user_state/core/hll_tiles.py says what they are, codec/hlls.py has the bytes.
#include <algorithm>

#include "families/hlls/hll_estimate.hpp"
#include "families/hlls/stored_registers.hpp"
#include "families/sketch_tiles/sketched.hpp"

namespace user_state::reading {

namespace {

class Hlls : public Part {
 public:
  explicit Hlls(const Program& program) : program_(program), tiles_(program.hlls.size(), false) {
    wanted_.assign(program.hlls.size(), false);
    for (const DistinctOutput& output : program.distinct) wanted_[output.track] = true;
    for (const HllPart& part : program.hlls) estimates_.emplace_back(part.lg_k, part.knots);
  }

  void set_time(std::int64_t at_us) override { starts_.set(starts_s(program_.distinct, at_us)); }

  void read(Reader in, const Row& row) override {
    tiles_.read(in);
    for (const SketchedTile& tile : tiles_.tiles()) {
      if (tile.has_sketch()) continue;
      const char* coupons = tiles_.items_of(tile);
      need(load<std::uint32_t>(coupons) >> kAddressBits > 0 && ascend<std::uint32_t>(coupons, tile.items, true));
    }
    take_registers(in);
    in.end();
    for (std::size_t track = 0; track < wanted_.size(); ++track) {
      if (wanted_[track]) count(static_cast<int>(track), row);
    }
  }

 private:
  std::size_t size_of(int track) const { return std::size_t{1} << program_.hlls[track].lg_k; }

  void take_registers(Reader& in) {
    registers_.clear();
    const std::vector<int>& tracks = tiles_.sketched();
    std::string_view bases = in.bytes(tracks.size());
    for (std::size_t at = 0; at < tracks.size(); ++at) {
      auto base = static_cast<std::uint8_t>(bases[at]);
      need(base <= kGreatest);
      registers_.push_back({base, in.bytes(size_of(tracks[at]) / 2), {}});
    }
    for (StoredRegisters& registers : registers_) {
      std::uint64_t high = 0;
      for (std::size_t at = 0; at < registers.pairs.size(); at += sizeof(std::uint64_t)) {
        high += nibbles_in(all_set(load<std::uint64_t>(registers.pairs.data() + at)));
      }
      registers.highs = in.bytes(high);
      for (char value : registers.highs) {
        need(static_cast<std::uint8_t>(value) >= registers.base + kInHighs);
        need(static_cast<std::uint8_t>(value) <= kGreatest);
      }
      // No other register can be beyond the greatest then.
      if (registers.base <= kGreatest - kInHighs + 1) continue;
      registers.each([](std::size_t, std::uint8_t value) { need(value <= kGreatest); });
    }
  }

  /// Windows that have registers among their tiles are counted by those, others by their coupons.
  void count(int track, const Row& row) {
    std::size_t by_registers = 0;  // how many of the windows, the longest ones
    for (const SketchedTile& tile : tiles_.tiles()) {
      if (tile.track == track && tile.has_sketch()) {
        by_registers = std::max(by_registers, starts_.holding(tile.start_s));
      }
    }
    count_coupons(track, by_registers);
    if (by_registers > 0) unite(track);
    for (std::size_t at = 0; at < program_.distinct.size(); ++at) {
      const DistinctOutput& output = program_.distinct[at];
      if (output.track != track) continue;
      std::size_t window = starts_.place(at);
      auto number = static_cast<double>(coupons_in_[window]);
      if (window < by_registers) {
        number = estimates_[track](std::span(united_).subspan(window * size_of(track), size_of(track)));
      }
      row.values[output.column] = static_cast<float>(number > 0 ? number : output.empty);
    }
  }

  void count_coupons(int track, std::size_t by_registers) {
    coupons_.clear();
    for (const SketchedTile& tile : tiles_.tiles()) {
      if (tile.track != track || tile.has_sketch()) continue;
      std::size_t holding = starts_.holding(tile.start_s);
      if (holding <= by_registers) continue;
      const char* items = tiles_.items_of(tile);
      for (std::uint32_t at = 0; at < tile.items; ++at) {
        // Of equal coupons the one in the shortest window comes first, and counts.
        std::uint64_t coupon = load<std::uint32_t>(items + sizeof(std::uint32_t) * at);
        coupons_.push_back(coupon << kWindowBits | (starts_.size() - holding));
      }
    }
    std::ranges::sort(coupons_);
    coupons_in_.assign(starts_.size(), 0);
    for (std::size_t at = 0; at < coupons_.size(); ++at) {
      if (at > 0 && coupons_[at] >> kWindowBits == coupons_[at - 1] >> kWindowBits) continue;
      ++coupons_in_[starts_.size() - 1 - (coupons_[at] & ((1u << kWindowBits) - 1))];
    }
    for (std::size_t window = starts_.size(); window-- > 1;) coupons_in_[window - 1] += coupons_in_[window];
  }

  /// Unites the registers and coupons of each window.
  void unite(int track) {
    std::size_t size = size_of(track);
    united_.assign(starts_.size() * size, 0);
    for (const SketchedTile& tile : tiles_.tiles()) {
      std::size_t holding = tile.track == track ? starts_.holding(tile.start_s) : 0;
      if (holding == 0) continue;
      std::uint8_t* into = united_.data() + (holding - 1) * size;
      if (tile.has_sketch()) {
        see(registers_[tile.place], into);
        continue;
      }
      const char* items = tiles_.items_of(tile);
      for (std::uint32_t at = 0; at < tile.items; ++at) {
        auto coupon = load<std::uint32_t>(items + sizeof(std::uint32_t) * at);
        std::uint8_t& kept = into[coupon & (size - 1)];
        kept = std::max(kept, static_cast<std::uint8_t>(coupon >> kAddressBits));
      }
    }
    for (std::size_t window = starts_.size(); window-- > 1;) {
      const std::uint8_t* from = united_.data() + window * size;
      std::uint8_t* into = united_.data() + (window - 1) * size;
      for (std::size_t at = 0; at < size; ++at) into[at] = std::max(into[at], from[at]);
    }
  }

  static void see(const StoredRegisters& registers, std::uint8_t* into) {
    if (!registers.highs.empty()) {
      registers.each([&](std::size_t at, std::uint8_t value) { into[at] = std::max(into[at], value); });
      return;
    }
    for (std::size_t at = 0; at < registers.pairs.size(); ++at) {
      auto pair = static_cast<std::uint8_t>(registers.pairs[at]);
      auto even = static_cast<std::uint8_t>(registers.base + (pair & 0xF));
      auto odd = static_cast<std::uint8_t>(registers.base + (pair >> 4));
      into[2 * at] = std::max(into[2 * at], even);
      into[2 * at + 1] = std::max(into[2 * at + 1], odd);
    }
  }

  /// A spec has fewer windows than this many bits can count (binding.cpp sees to it).
  static constexpr unsigned kWindowBits = 16;

  const Program& program_;
  SketchedTiles tiles_;
  std::vector<bool> wanted_;
  std::vector<HllEstimate> estimates_;
  Starts starts_;
  std::vector<StoredRegisters> registers_;
  std::vector<std::uint64_t> coupons_;
  std::vector<std::int64_t> coupons_in_;
  /// By window, the registers of all its tiles.
  std::vector<std::uint8_t> united_;
};

}  // namespace

std::unique_ptr<Part> make_hlls(const Program& program) { return std::make_unique<Hlls>(program); }

}  // namespace user_state::reading
