// Approximate distinct counts of windows. The tiles of a window are united. While all of them hold coupons, the count
// is how many different coupons there are: exact, but for values that share one. Otherwise it is what the registers are
// estimated to stand for (hll_estimate.hpp).
#include <algorithm>

#include "families/hlls/hll_estimate.hpp"
#include "families/hlls/stored.hpp"
#include "families/part.hpp"

namespace user_state::reading {

namespace {

class Hlls : public Part {
 public:
  explicit Hlls(const Program& program) : program_(program), held_(program.hll_lg_ks) {
    wanted_.assign(program.hll_lg_ks.size(), false);
    for (const DistinctOutput& output : program.distinct) wanted_[output.track] = true;
    for (int lg_k : program.hll_lg_ks) estimates_.emplace_back(lg_k);
  }

  void set_time(std::int64_t at_us) override { starts_.set(starts_s(program_.distinct, at_us)); }

  void read(Reader in, const Row& row) override {
    held_.read(in);
    for (std::size_t track = 0; track < wanted_.size(); ++track) {
      if (wanted_[track]) count(static_cast<int>(track), row);
    }
  }

 private:
  /// Windows that have registers among their tiles are counted by those, others by their coupons.
  void count(int track, const Row& row) {
    std::size_t by_registers = 0;  // how many of the windows, the longest ones
    for (const SketchTile& tile : held_.tiles) {
      if (tile.track() == track && tile.has_sketch()) {
        by_registers = std::max(by_registers, starts_.holding(tile.start_s()));
      }
    }
    std::size_t size = held_.registers_of(track);
    count_coupons(track, by_registers);
    if (by_registers > 0) unite(track);
    for (std::size_t at = 0; at < program_.distinct.size(); ++at) {
      const DistinctOutput& output = program_.distinct[at];
      if (output.track != track) continue;
      std::size_t window = starts_.place(at);
      auto number = static_cast<double>(coupons_in_[window]);
      if (window < by_registers) {
        number = estimates_[track](std::span(united_).subspan(window * size, size));
      }
      row.values[output.column] = static_cast<float>(number > 0 ? number : output.empty);
    }
  }

  void count_coupons(int track, std::size_t by_registers) {
    coupons_.clear();
    for (const SketchTile& tile : held_.tiles) {
      if (tile.track() != track || tile.has_sketch()) continue;
      std::size_t holding = starts_.holding(tile.start_s());
      if (holding <= by_registers) continue;
      const char* items = tile.items.at;
      for (std::uint32_t at = 0; at < tile.items.size; ++at) {
        // Of equal coupons the one in the shortest window comes first, and counts.
        std::uint64_t coupon = load<std::uint32_t>(items + sizeof(std::uint32_t) * at);
        coupons_.push_back(coupon << kWindowBits | (starts_.size() - holding));
      }
    }
    std::ranges::sort(coupons_);
    coupons_in_.assign(starts_.size(), 0);
    for (std::size_t at = 0; at < coupons_.size(); ++at) {
      if (at > 0 && coupons_[at] >> kWindowBits == coupons_[at - 1] >> kWindowBits) continue;
      ++coupons_in_[starts_.size() - 1 - (coupons_[at] & ((std::uint64_t{1} << kWindowBits) - 1))];
    }
    for (std::size_t window = starts_.size(); window-- > 1;) coupons_in_[window - 1] += coupons_in_[window];
  }

  /// Unites the registers and coupons of each window.
  void unite(int track) {
    std::size_t size = held_.registers_of(track);
    united_.assign(starts_.size() * size, 0);
    for (const SketchTile& tile : held_.tiles) {
      std::size_t holding = tile.track() == track ? starts_.holding(tile.start_s()) : 0;
      if (holding == 0) continue;
      std::uint8_t* into = united_.data() + (holding - 1) * size;
      if (tile.has_sketch()) {
        see(held_.registers[tile.sketch], into);
        continue;
      }
      const char* items = tile.items.at;
      for (std::uint32_t at = 0; at < tile.items.size; ++at) {
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

  /// Windows are counted by an int, so that a coupon and the number of its window share 64 bits.
  static constexpr unsigned kWindowBits = 32;

  const Program& program_;
  StoredHlls held_;
  std::vector<bool> wanted_;
  std::vector<HllEstimate> estimates_;
  Starts starts_;
  std::vector<std::uint64_t> coupons_;
  std::vector<std::int64_t> coupons_in_;
  /// By window, the registers of all its tiles.
  std::vector<std::uint8_t> united_;
};

}  // namespace

std::unique_ptr<Part> make_hlls(const Program& program) { return std::make_unique<Hlls>(program); }

}  // namespace user_state::reading
