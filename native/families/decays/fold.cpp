// Decayed counts and sums at several half-lives: what events make of them.
//
//     S = sum over events of x_i 2^-((T - t_i)/H), as of a time T, that of the newest matching event
//
// x_i is 1 for a count and the field's value for a sum. How two are joined, why order does not matter, and the source:
// families/decaying.hpp.
#include <algorithm>

#include "families/decaying.hpp"
#include "families/decays/stored.hpp"
#include "families/family.hpp"

namespace user_state {

namespace {

class Decays : public Family {
 public:
  explicit Decays(const Plan& plan) : plan_(plan), held_(sizes(plan)) {}

  bool stays(const Arrivals& arrivals, std::int64_t) const override { return !arrivals.any_wanted(plan_.decays); }

  void read(Reader in, const Strings&) override { held_.read(in); }

  void fold(const Arrivals& arrivals, Strings&) override {
    for (std::size_t at = 0; at < held_.decays.size(); ++at) {
      lift(plan_.decays[at], arrivals);
      if (!arrived_.empty()) join(plan_.decays[at], held_.decays[at]);
    }
  }

  void absorb(const Family& other, std::span<const int> becomes, std::int64_t, Strings&) override {
    const std::vector<DecayedNumbers>& others = dynamic_cast<const Decays&>(other).held_.decays;
    for (std::size_t at = 0; at < becomes.size(); ++at) {
      if (becomes[at] != kGone) add(plan_.decays[becomes[at]], others[at], held_.decays[becomes[at]]);
    }
  }

  void write(Writer& out, const Strings&) const override { held_.write(out); }

 private:
  struct Arrived {
    std::int64_t time_us;
    double value;
  };

  static std::vector<std::size_t> sizes(const Plan& plan) {
    std::vector<std::size_t> made;
    for (const Decay& decay : plan.decays) made.push_back(decay.half_lives_us.size());
    return made;
  }

  /// Takes the events that a decay wants.
  void lift(const Decay& decay, const Arrivals& arrivals) {
    const Events& events = arrivals.events;
    arrived_.clear();
    newest_us_ = 0;
    for (std::uint32_t row : arrivals.rows) {
      if (!takes(decay, events, row)) continue;
      arrived_.push_back({events.time_us(row), decay.of ? events.number(*decay.of, row) : 1.0});
      newest_us_ = std::max(newest_us_, events.time_us(row));
    }
  }

  /// Adds what arrived.
  void join(const Decay& decay, DecayedNumbers& held) {
    lifted_.time_us = newest_us_;
    lifted_.sums.assign(held.sums.size(), 0.0);
    for (std::size_t at = 0; at < held.sums.size(); ++at) {
      for (const Arrived& one : arrived_) {
        lifted_.sums[at] += one.value * left_of_one(newest_us_ - one.time_us, decay.half_lives_us[at]);
      }
    }
    add(decay, lifted_, held);
  }

  /// Adds other numbers of a decay, as of the later of both times.
  static void add(const Decay& decay, const DecayedNumbers& other, DecayedNumbers& held) {
    if (other.time_us == 0) return;
    std::int64_t time_us = std::max(held.time_us, other.time_us);
    for (std::size_t at = 0; at < held.sums.size(); ++at) {
      std::int64_t half_life_us = decay.half_lives_us[at];
      held.sums[at] = held.sums[at] * left_of_one(time_us - held.time_us, half_life_us) +
                      other.sums[at] * left_of_one(time_us - other.time_us, half_life_us);
    }
    held.time_us = time_us;
  }

  const Plan& plan_;
  StoredDecays held_;
  std::vector<Arrived> arrived_;
  DecayedNumbers lifted_;
  std::int64_t newest_us_ = 0;
};

}  // namespace

std::unique_ptr<Family> make_decays(const Plan& plan) { return std::make_unique<Decays>(plan); }

}  // namespace user_state
