// Profiles: which hours of the day, or days of the week, a user is active in. What events make of them.
//
//     S_b = sum over the events of bin b of 2^-((T - t_i)/H), as of a time T, that of the newest matching event
//
// The bin is that of the event's local time, fixed when it is folded. How two are joined, why order does not matter,
// and the source: families/decaying.hpp.
#include <algorithm>

#include "families/decaying.hpp"
#include "families/family.hpp"
#include "families/profiles/stored.hpp"

namespace user_state {

namespace {

class Profiles : public Family {
 public:
  explicit Profiles(const Plan& plan) : plan_(plan), held_(shapes(plan)) {}

  bool stays(const Arrivals& arrivals, std::int64_t) const override { return !arrivals.any_wanted(plan_.profiles); }

  void read(Reader in, const Strings&) override { held_.read(in); }

  void fold(const Arrivals& arrivals, Strings&) override {
    for (std::size_t at = 0; at < held_.profiles.size(); ++at) {
      lift(plan_.profiles[at], arrivals);
      if (!arrived_.empty()) join(plan_.profiles[at], held_.profiles[at]);
    }
  }

  void absorb(const Family& other, std::span<const int> becomes, std::int64_t, Strings&) override {
    const std::vector<DecayedBins>& others = dynamic_cast<const Profiles&>(other).held_.profiles;
    for (std::size_t at = 0; at < becomes.size(); ++at) {
      if (becomes[at] != kGone) add(plan_.profiles[becomes[at]], others[at], held_.profiles[becomes[at]]);
    }
  }

  void write(Writer& out, const Strings&) const override { held_.write(out); }

 private:
  struct Arrived {
    std::int64_t time_us;
    int bin;
  };

  static std::vector<ProfileShape> shapes(const Plan& plan) {
    std::vector<ProfileShape> made;
    for (const Profile& profile : plan.profiles) {
      made.push_back({profile.half_lives_us.size(), static_cast<std::size_t>(profile.bins)});
    }
    return made;
  }

  /// Takes the events that a profile wants.
  void lift(const Profile& profile, const Arrivals& arrivals) {
    const Events& events = arrivals.events;
    arrived_.clear();
    newest_us_ = 0;
    for (std::uint32_t row : arrivals.rows) {
      if (!takes(profile, events, row)) continue;
      const LocalTime& local = plan_.local_time;
      std::int64_t second = events.second(row);
      arrived_.push_back({events.time_us(row), profile.of_hours ? local.hour(second) : local.weekday(second)});
      newest_us_ = std::max(newest_us_, events.time_us(row));
    }
  }

  /// Adds what arrived.
  void join(const Profile& profile, DecayedBins& held) {
    lifted_.time_us = newest_us_;
    lifted_.sums.assign(held.sums.size(), 0.0);
    for (std::size_t at = 0; at < profile.half_lives_us.size(); ++at) {
      double* sums = lifted_.sums.data() + at * profile.bins;
      for (const Arrived& one : arrived_) {
        sums[one.bin] += left_of_one(newest_us_ - one.time_us, profile.half_lives_us[at]);
      }
    }
    add(profile, lifted_, held);
  }

  /// Adds another profile's bins, as of the later of both times.
  static void add(const Profile& profile, const DecayedBins& other, DecayedBins& held) {
    if (other.time_us == 0) return;
    std::int64_t time_us = std::max(held.time_us, other.time_us);
    for (std::size_t at = 0; at < profile.half_lives_us.size(); ++at) {
      std::int64_t half_life_us = profile.half_lives_us[at];
      double keep = left_of_one(time_us - held.time_us, half_life_us);
      double keep_other = left_of_one(time_us - other.time_us, half_life_us);
      std::size_t begin = at * profile.bins;
      for (std::size_t bin = begin; bin < begin + profile.bins; ++bin) {
        held.sums[bin] = keep * held.sums[bin] + keep_other * other.sums[bin];
      }
    }
    held.time_us = time_us;
  }

  const Plan& plan_;
  StoredProfiles held_;
  std::vector<Arrived> arrived_;
  DecayedBins lifted_;
  std::int64_t newest_us_ = 0;
};

}  // namespace

std::unique_ptr<Family> make_profiles(const Plan& plan) { return std::make_unique<Profiles>(plan); }

}  // namespace user_state
