// Decayed counts and sums: user_state/core/decays.py says what they are, codec/decays.py their bytes.
#include <algorithm>

#include "codec/optional_parts.hpp"
#include "families/family.hpp"

namespace user_state {

namespace {

/// One decay's numbers, as seen at a time; 0 where there is nothing.
struct Numbers {
  std::int64_t time_us = 0;
  std::vector<double> sums;
};

class Decays : public Family {
 public:
  explicit Decays(const Plan& plan) : plan_(plan), held_(plan.decays.size()) {}

  void read(Reader in, const Strings&) override {
    for (std::size_t at = 0; at < held_.size(); ++at) {
      Numbers& held = held_[at];
      std::size_t half_lives = plan_.decays[at].half_lives_us.size();
      held.sums.clear();
      if (take_mark(in)) {
        held.time_us = take_time(in);
        need(held.time_us < kTooLarge);
        in.column<double>(half_lives, held.sums);
      } else {
        held.time_us = 0;
        held.sums.resize(half_lives);
      }
    }
    in.end();
  }

  void fold(const Arrivals& arrivals, Strings&) override {
    for (std::size_t at = 0; at < held_.size(); ++at) {
      lift(plan_.decays[at], arrivals);
      if (!arrived_.empty()) join(plan_.decays[at], held_[at]);
    }
  }

  void absorb(const Family& other, std::span<const int> becomes, std::int64_t, Strings&) override {
    const auto& from = dynamic_cast<const Decays&>(other);
    for (std::size_t at = 0; at < becomes.size(); ++at) {
      if (becomes[at] != kGone) add(plan_.decays[becomes[at]], from.held_[at], held_[becomes[at]]);
    }
  }

  void write(Writer& out, const Strings&) const override {
    for (const Numbers& held : held_) {
      put_mark(out, held.time_us > 0);
      if (held.time_us == 0) continue;
      out.put(held.time_us);
      out.column<double>(held.sums, [](double sum) { return sum; });
    }
  }

 private:
  struct Arrived {
    std::int64_t time_us;
    double value;
  };

  /// Takes the events that a decay wants.
  void lift(const Decay& decay, const Arrivals& arrivals) {
    const Events& events = arrivals.events;
    arrived_.clear();
    newest_us_ = 0;
    for (std::uint32_t row : arrivals.rows) {
      if (!events.matches(decay.filter, row) || (decay.of && !events.has(*decay.of, row))) continue;
      arrived_.push_back({events.time_us(row), decay.of ? events.number(*decay.of, row) : 1.0});
      newest_us_ = std::max(newest_us_, events.time_us(row));
    }
  }

  /// Adds what arrived.
  void join(const Decay& decay, Numbers& held) {
    lifted_.time_us = newest_us_;
    lifted_.sums.assign(held.sums.size(), 0.0);
    for (std::size_t at = 0; at < held.sums.size(); ++at) {
      for (const Arrived& one : arrived_) {
        lifted_.sums[at] += one.value * left_of_one(newest_us_ - one.time_us, decay.half_lives_us[at]);
      }
    }
    add(decay, lifted_, held);
  }

  /// Adds other numbers of a decay, as seen at the later of both times.
  static void add(const Decay& decay, const Numbers& other, Numbers& held) {
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
  std::vector<Numbers> held_;
  std::vector<Arrived> arrived_;
  Numbers lifted_;
  std::int64_t newest_us_ = 0;
};

}  // namespace

std::unique_ptr<Family> make_decays(const Plan& plan) { return std::make_unique<Decays>(plan); }

}  // namespace user_state
