// Approximate quantiles of windows: all numbers of the tiles side by side, each with how many it stands for. The
// q-quantile is the least number that at least a share q of the values do not exceed; 0 and 1 are the least and the
// greatest value, exactly.
//
// While all tiles of a window hold values, every quantile is exact. Otherwise the rank of each sketch is off by at most
// its error (kll_sketch.hpp) times what it has seen, in 99 of 100 cases, so the whole by no more than that share of the
// whole.
#include <algorithm>
#include <cmath>

#include "families/klls/stored.hpp"
#include "families/part.hpp"

namespace user_state::reading {

namespace {

/// What is taken off a rank before it is rounded up, lest rounding make it one more .
constexpr double kRankRounding = 1e-9;

class Klls : public Part {
 public:
  explicit Klls(const Program& program) : program_(program), held_(program.kll_ks) {}

  void set_time(std::int64_t at_us) override { since_s_ = starts_s(program_.quantiles, at_us); }

  void read(Reader in, const Row& row) override {
    held_.read(in);
    for (std::size_t at = 0; at < program_.quantiles.size(); ++at) {
      const QuantilesOutput& output = program_.quantiles[at];
      gather(output.track, since_s_[at]);
      put(output, row.out.arrays[output.array] + row.at * output.quantiles.size());
    }
  }

 private:
  /// A number that stands for so many.
  struct Weighted {
    double number;
    std::uint64_t weight;
  };

  /// Puts together what the tiles of a window have seen.
  void gather(int track, std::int64_t since_s) {
    plain_.clear(), weighted_.clear();
    least_ = std::numeric_limits<double>::infinity(), greatest_ = -least_;
    seen_ = 0;
    for (const SketchTile& tile : held_.tiles) {
      if (tile.track() != track || tile.start_s() < since_s) continue;
      if (!tile.has_sketch()) {
        const Numbers& items = tile.items;
        std::size_t before = plain_.size();
        plain_.resize(before + items.size);
        items.reals([to = plain_.data() + before](std::uint32_t place, double number) { to[place] = number; });
        seen_ += items.size;
        continue;
      }
      const StoredKll& sketch = held_.sketches[tile.sketch];
      least_ = std::min(least_, sketch.least), greatest_ = std::max(greatest_, sketch.greatest);
      std::uint32_t place = 0;
      for (std::size_t level = 0; level < sketch.levels(); ++level) {
        std::uint64_t weight = std::uint64_t{1} << level;
        for (std::uint32_t at = 0; at < sketch.size_of(level); ++at) {
          weighted_.push_back({sketch.numbers.real(place++), weight});
        }
        seen_ += weight * sketch.size_of(level);
      }
    }
  }

  void put(const QuantilesOutput& output, float* to) {
    if (seen_ == 0) {
      std::fill_n(to, output.quantiles.size(), static_cast<float>(output.empty));
    } else if (weighted_.empty()) {
      put_plain(output, to);
    } else {
      put_weighted(output, to);
    }
  }

  std::uint64_t rank_of(double quantile) const {
    double rank = std::ceil(quantile * static_cast<double>(seen_) - kRankRounding);
    return static_cast<std::uint64_t>(std::max(rank, 1.0));
  }

  /// Numbers alone: a rank is a place, and they need not be sorted as a whole.
  void put_plain(const QuantilesOutput& output, float* to) {
    std::size_t sorted = 0;
    double before = 0;
    for (double quantile : output.quantiles) {
      std::size_t place = std::min<std::size_t>(rank_of(quantile), plain_.size()) - 1;
      if (quantile < before) sorted = 0;
      before = quantile;
      auto nth = plain_.begin() + static_cast<std::ptrdiff_t>(place);
      if (place >= sorted) std::nth_element(plain_.begin() + static_cast<std::ptrdiff_t>(sorted), nth, plain_.end());
      sorted = std::max(sorted, place);
      *to++ = static_cast<float>(*nth);
    }
  }

  void put_weighted(const QuantilesOutput& output, float* to) {
    for (double number : plain_) weighted_.push_back({number, 1});
    std::ranges::sort(weighted_, {}, &Weighted::number);
    for (double quantile : output.quantiles) {
      std::uint64_t rank = rank_of(quantile), reached = 0;
      double value = weighted_.back().number;
      for (const Weighted& one : weighted_) {
        reached += one.weight;
        if (reached >= rank) {
          value = one.number;
          break;
        }
      }
      if (quantile == 0) value = std::min(value, least_);
      if (quantile == 1) value = std::max(value, greatest_);
      *to++ = static_cast<float>(value);
    }
  }

  const Program& program_;
  StoredKlls held_;
  std::vector<std::int64_t> since_s_;
  /// Of one window: numbers of tiles, and those of sketches; what sketches say is their least and greatest.
  std::vector<double> plain_;
  std::vector<Weighted> weighted_;
  double least_ = 0, greatest_ = 0;
  std::uint64_t seen_ = 0;
};

}  // namespace

std::unique_ptr<Part> make_klls(const Program& program) { return std::make_unique<Klls>(program); }

}  // namespace user_state::reading
