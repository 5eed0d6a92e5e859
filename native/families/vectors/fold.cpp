// Decayed sums of vectors: user_state/core/vectors.py says what they are, core/hashed_vectors.py of which vectors,
// codec/vectors.py their bytes.
#include <algorithm>
#include <bit>
#include <cmath>

#include "codec/optional_parts.hpp"
#include "codec/steps.hpp"
#include "codec/xxh64.hpp"
#include "families/family.hpp"
#include "families/sums.hpp"

namespace user_state {

namespace {

constexpr double kLargestWeight = 1e30, kRounded = 1.01;
constexpr int kBits = 64;

/// One embedding's sums, as seen at a time; 0 where there is nothing.
struct DecayedSums {
  std::int64_t time_us = 0;
  /// By half-life, `largest` being the largest magnitude of its sums.
  std::vector<double> weights, largest;
  /// All dimensions of one half-life, then those of the next.
  std::vector<double> sums;
};

class VectorSums : public Family {
 public:
  explicit VectorSums(const Plan& plan) : plan_(plan), held_(plan.vectors.size()) {}

  void read(Reader in, const Strings&) override {
    for (std::size_t at = 0; at < held_.size(); ++at) {
      const Vectors& vectors = plan_.vectors[at];
      DecayedSums& held = held_[at];
      held.weights.clear();
      held.largest.clear();
      held.sums.clear();
      if (take_mark(in)) {
        take_sums(in, vectors, held);
      } else {
        held.time_us = 0;
        held.weights.resize(vectors.half_lives_us.size());
        held.largest.resize(vectors.half_lives_us.size());
        held.sums.resize(vectors.half_lives_us.size() * vectors.dimensions);
      }
    }
    in.end();
  }

  void fold(const Arrivals& arrivals, Strings&) override {
    for (std::size_t at = 0; at < held_.size(); ++at) {
      lift(plan_.vectors[at], arrivals);
      if (!arrived_.empty()) join(plan_.vectors[at], held_[at]);
    }
  }

  void absorb(const Family& other, std::span<const int> becomes, std::int64_t, Strings&) override {
    const auto& from = dynamic_cast<const VectorSums&>(other);
    for (std::size_t at = 0; at < becomes.size(); ++at) {
      if (becomes[at] != kGone) add(plan_.vectors[becomes[at]], from.held_[at], held_[becomes[at]]);
    }
  }

  void write(Writer& out, const Strings&) const override {
    for (std::size_t at = 0; at < held_.size(); ++at) {
      const DecayedSums& held = held_[at];
      put_mark(out, held.time_us > 0);
      if (held.time_us == 0) continue;
      out.put(held.time_us);
      out.column<double>(held.weights, [](double weight) { return weight; });
      out.column<double>(held.largest, [](double largest) { return largest; });
      auto dimensions = static_cast<std::size_t>(plan_.vectors[at].dimensions);
      for (std::size_t of = 0; of < held.weights.size(); ++of) {
        auto seed = std::bit_cast<std::uint64_t>(held.weights[of]) ^ static_cast<std::uint64_t>(held.time_us);
        auto put = plan_.vectors[at].component_bytes == 2 ? steps::put<std::int16_t> : steps::put<std::int32_t>;
        put(out, std::span(held.sums).subspan(of * dimensions, dimensions), held.largest[of], seed);
      }
    }
  }

 private:
  struct Arrived {
    std::int64_t time_us;
    double weight;
  };

  static void take_sums(Reader& in, const Vectors& vectors, DecayedSums& held) {
    std::size_t half_lives = vectors.half_lives_us.size();
    held.time_us = take_time(in);
    in.column<double>(half_lives, held.weights);
    in.column<double>(half_lives, held.largest);
    for (std::size_t of = 0; of < half_lives; ++of) {
      double weight = held.weights[of], largest = held.largest[of];
      need(weight >= 0 && weight <= kLargestWeight);
      need(largest >= 0 && largest <= std::numeric_limits<double>::max());
      auto take = vectors.component_bytes == 2 ? steps::take<std::int16_t> : steps::take<std::int32_t>;
      take(in, vectors.dimensions, largest, held.sums);
      // Bytes that nobody encoded may hold a larger one, or none that is as large as they say.
      held.largest[of] = steps::largest_of(std::span(held.sums).subspan(of * vectors.dimensions));
      // A sum of vectors of length one is no longer than the sum of their weights.
      need(held.largest[of] <= kRounded * weight);
    }
  }

  /// Takes the events that an embedding wants, and the vectors of what they name.
  void lift(const Vectors& vectors, const Arrivals& arrivals) {
    const Events& events = arrivals.events;
    arrived_.clear();
    directions_.clear();
    newest_us_ = 0;
    for (std::uint32_t row : arrivals.rows) {
      if (!events.matches(vectors.filter, row) || !events.has(vectors.of, row)) continue;
      double weight = vectors.weighed_by ? events.number(*vectors.weighed_by, row) : events.weight(vectors.weights, row);
      if (!vectors.weighed_by && weight == 0) continue;
      arrived_.push_back({events.time_us(row), weight});
      newest_us_ = std::max(newest_us_, events.time_us(row));
      add_direction(events, events.integer(vectors.of, row), vectors.dimensions);
    }
  }

  /// Appends the vector of a text of the batch: its hashes' bits are the signs, from the least significant on.
  void add_direction(const Events& events, std::int64_t code, int dimensions) {
    auto component = std::bit_cast<std::uint64_t>(-1.0 / std::sqrt(static_cast<double>(dimensions)));
    for (int begin = 0; begin < dimensions; begin += kBits) {
      std::uint64_t word = begin == 0 ? events.text_hash(code) : xxh64(events.text(code), begin / kBits);
      for (int at = 0; at < std::min(kBits, dimensions - begin); ++at) {
        directions_.push_back(std::bit_cast<double>(component ^ (word >> at << (kBits - 1))));
      }
    }
  }

  /// Adds what arrived, as seen at the later of both times.
  void join(const Vectors& vectors, DecayedSums& held) {
    std::int64_t time_us = std::max(held.time_us, newest_us_);
    auto dimensions = static_cast<std::size_t>(vectors.dimensions);
    for (std::size_t of = 0; of < held.weights.size(); ++of) {
      std::int64_t half_life_us = vectors.half_lives_us[of];
      shares_.clear();
      for (const Arrived& one : arrived_) {
        shares_.push_back(one.weight * left_of_one(newest_us_ - one.time_us, half_life_us));
      }
      double keep = left_of_one(time_us - held.time_us, half_life_us);
      double keep_lifted = left_of_one(time_us - newest_us_, half_life_us);
      double lifted = reduced(shares_.size(), [&](std::size_t at) { return std::fabs(shares_[at]); });
      held.weights[of] = keep * held.weights[of] + keep_lifted * lifted;
      // What follows is for finite numbers, and sums are no longer than weights.
      need(std::isfinite(held.weights[of]));
      std::span<double> sums = std::span(held.sums).subspan(of * dimensions, dimensions);
      add_shares(sums, keep, keep_lifted);
      held.largest[of] = steps::largest_of(sums);
    }
    held.time_us = time_us;
  }

  /// Adds another embedding's sums, as seen at the later of both times.
  static void add(const Vectors& vectors, const DecayedSums& other, DecayedSums& held) {
    if (other.time_us == 0) return;
    std::int64_t time_us = std::max(held.time_us, other.time_us);
    auto dimensions = static_cast<std::size_t>(vectors.dimensions);
    for (std::size_t of = 0; of < held.weights.size(); ++of) {
      std::int64_t half_life_us = vectors.half_lives_us[of];
      double keep = left_of_one(time_us - held.time_us, half_life_us);
      double keep_other = left_of_one(time_us - other.time_us, half_life_us);
      held.weights[of] = keep * held.weights[of] + keep_other * other.weights[of];
      std::span<double> sums = std::span(held.sums).subspan(of * dimensions, dimensions);
      const double* others = other.sums.data() + of * dimensions;
      for (std::size_t at = 0; at < dimensions; ++at) sums[at] = keep * sums[at] + keep_other * others[at];
      held.largest[of] = steps::largest_of(sums);
    }
    held.time_us = time_us;
  }

  /// Adds the shares of all directions.
  void add_shares(std::span<double> sums, double keep, double keep_lifted) const {
    const double* directions = directions_.data();
    if (shares_.size() == 1) {
      double share = shares_.front();
      for (std::size_t of = 0; of < sums.size(); ++of) {
        sums[of] = keep * sums[of] + keep_lifted * (share * directions[of]);
      }
      return;
    }
    for (std::size_t of = 0; of < sums.size(); ++of) {
      sums[of] = keep * sums[of] + keep_lifted * reduced(shares_.size(), [&](std::size_t at) {
                   return shares_[at] * directions[at * sums.size() + of];
                 });
    }
  }

  const Plan& plan_;
  std::vector<DecayedSums> held_;
  std::vector<Arrived> arrived_;
  /// The vectors of what arrived, one after the other, and how much of each is added.
  std::vector<double> directions_, shares_;
  std::int64_t newest_us_ = 0;
};

}  // namespace

std::unique_ptr<Family> make_vectors(const Plan& plan) { return std::make_unique<VectorSums>(plan); }

}  // namespace user_state
