// Decayed sums of the vectors of what events name, at several half-lives: what events make of them.
//
//     S = sum over events of w_i 2^-((T - t_i)/H) v_i        W = sum of |w_i| 2^-((T - t_i)/H)
//
// as of a time T, that of the newest matching event. W takes the weights' magnitudes, so that a negative weight pushes
// away and can never make W zero. The vector of a text is made of the bits of its hashes (xxh64): each is a component's
// sign. How two are joined, why order does not matter, and the source: families/decaying.hpp. Sums are stored in steps,
// which round without bias (codec/steps.hpp).
#include <algorithm>
#include <bit>
#include <cmath>

#include "codec/steps.hpp"
#include "codec/xxh64.hpp"
#include "families/decaying.hpp"
#include "families/family.hpp"
#include "families/sums.hpp"
#include "families/vectors/stored.hpp"

namespace user_state {

namespace {

constexpr int kBits = 64;

class VectorSums : public Family {
 public:
  explicit VectorSums(const Plan& plan) : plan_(plan), held_(vector_shapes(plan.vectors)) {}

  bool stays(const Arrivals& arrivals, std::int64_t) const override { return !arrivals.any_wanted(plan_.vectors); }

  void read(Reader in, const Strings&) override { held_.read(in); }

  void fold(const Arrivals& arrivals, Strings&) override {
    for (std::size_t at = 0; at < held_.vectors.size(); ++at) {
      lift(plan_.vectors[at], arrivals);
      if (!arrived_.empty()) join(plan_.vectors[at], held_.vectors[at]);
    }
  }

  void absorb(const Family& other, std::span<const int> becomes, std::int64_t, Strings&) override {
    const std::vector<DecayedSums>& others = dynamic_cast<const VectorSums&>(other).held_.vectors;
    for (std::size_t at = 0; at < becomes.size(); ++at) {
      if (becomes[at] != kGone) add(plan_.vectors[becomes[at]], others[at], held_.vectors[becomes[at]]);
    }
  }

  void write(Writer& out, const Strings&) const override { held_.write(out); }

 private:
  struct Arrived {
    std::int64_t time_us;
    double weight;
  };

  /// Takes the events that an embedding wants, and the vectors of what they name.
  void lift(const Vectors& vectors, const Arrivals& arrivals) {
    const Events& events = arrivals.events;
    arrived_.clear();
    directions_.clear();
    newest_us_ = 0;
    for (std::uint32_t row : arrivals.rows) {
      if (!takes(vectors, events, row)) continue;
      double weight = vectors.weighed_by ? events.number(*vectors.weighed_by, row) : events.weight(vectors.weights, row);
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

  /// Adds what arrived, as of the later of both times.
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

  /// Adds another embedding's sums, as of the later of both times.
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
  StoredVectors held_;
  std::vector<Arrived> arrived_;
  /// The vectors of what arrived, one after the other, and how much of each is added.
  std::vector<double> directions_, shares_;
  std::int64_t newest_us_ = 0;
};

}  // namespace

std::unique_ptr<Family> make_vectors(const Plan& plan) { return std::make_unique<VectorSums>(plan); }

}  // namespace user_state
