// Profiles of hours and weekdays: user_state/core/profiles.py says what they are, codec/profiles.py their bytes.
#include <algorithm>

#include "codec/optional_parts.hpp"
#include "families/family.hpp"

namespace user_state {

namespace {

constexpr double kLargest = 0x1p62;

/// One profile, as seen at a time; 0 where there is nothing.
struct Bins {
  std::int64_t time_us = 0;
  /// All bins of one half-life, then those of the next.
  std::vector<double> sums;
};

class Profiles : public Family {
 public:
  explicit Profiles(const Plan& plan) : plan_(plan), held_(plan.profiles.size()) {}

  void read(Reader in, const Strings&) override {
    for (std::size_t at = 0; at < held_.size(); ++at) {
      const Profile& profile = plan_.profiles[at];
      Bins& held = held_[at];
      held.time_us = 0;
      held.sums.assign(profile.half_lives_us.size() * profile.bins, 0.0);
      if (!take_mark(in)) continue;
      held.time_us = take_time(in);
      need(held.time_us < kTooLarge);
      take_mask(in.bytes(mask_width(profile)), profile);
      for (std::size_t begin = 0; begin < held.sums.size(); begin += profile.bins) {
        for (int bin : bins_) {
          double sum = in.take<double>();
          need(sum >= 0 && sum < kLargest);
          held.sums[begin + bin] = sum;
        }
      }
      for (int bin : bins_) need(holds(profile, held, bin));
    }
    in.end();
  }

  void fold(const Arrivals& arrivals, Strings&) override {
    for (std::size_t at = 0; at < held_.size(); ++at) {
      lift(plan_.profiles[at], arrivals);
      if (!arrived_.empty()) join(plan_.profiles[at], held_[at]);
    }
  }

  void absorb(const Family& other, std::span<const int> becomes, std::int64_t, Strings&) override {
    const auto& from = dynamic_cast<const Profiles&>(other);
    for (std::size_t at = 0; at < becomes.size(); ++at) {
      if (becomes[at] != kGone) add(plan_.profiles[becomes[at]], from.held_[at], held_[becomes[at]]);
    }
  }

  void write(Writer& out, const Strings&) const override {
    for (std::size_t at = 0; at < held_.size(); ++at) {
      const Profile& profile = plan_.profiles[at];
      const Bins& held = held_[at];
      put_mark(out, held.time_us > 0);
      if (held.time_us == 0) continue;
      out.put(held.time_us);
      std::uint32_t mask = 0;
      for (int bin = 0; bin < profile.bins; ++bin) mask |= std::uint32_t{holds(profile, held, bin)} << bin;
      for (std::size_t byte = 0; byte < mask_width(profile); ++byte) {
        out.put(static_cast<std::uint8_t>(mask >> 8 * byte));
      }
      for (std::size_t begin = 0; begin < held.sums.size(); begin += profile.bins) {
        for (int bin = 0; bin < profile.bins; ++bin) {
          if (mask >> bin & 1) out.put(held.sums[begin + bin]);
        }
      }
    }
  }

 private:
  struct Arrived {
    std::int64_t time_us;
    int bin;
  };

  static std::size_t mask_width(const Profile& profile) { return static_cast<std::size_t>(profile.bins + 7) / 8; }

  /// Whether a bin holds something at any half-life.
  static bool holds(const Profile& profile, const Bins& held, int bin) {
    for (std::size_t at = bin; at < held.sums.size(); at += profile.bins) {
      if (held.sums[at] > 0) return true;
    }
    return false;
  }

  void take_mask(std::string_view mask, const Profile& profile) {
    bins_.clear();
    for (int bin = 0; bin < static_cast<int>(8 * mask.size()); ++bin) {
      if (!(static_cast<std::uint8_t>(mask[bin / 8]) >> bin % 8 & 1)) continue;
      need(bin < profile.bins);
      bins_.push_back(bin);
    }
  }

  /// Takes the events that a profile wants.
  void lift(const Profile& profile, const Arrivals& arrivals) {
    const Events& events = arrivals.events;
    arrived_.clear();
    newest_us_ = 0;
    for (std::uint32_t row : arrivals.rows) {
      if (!events.matches(profile.filter, row)) continue;
      const LocalTime& local = plan_.local_time;
      std::int64_t second = events.second(row);
      arrived_.push_back({events.time_us(row), profile.of_hours ? local.hour(second) : local.weekday(second)});
      newest_us_ = std::max(newest_us_, events.time_us(row));
    }
  }

  /// Adds what arrived.
  void join(const Profile& profile, Bins& held) {
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

  /// Adds another profile's bins, as seen at the later of both times.
  static void add(const Profile& profile, const Bins& other, Bins& held) {
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
  std::vector<Bins> held_;
  std::vector<int> bins_;
  std::vector<Arrived> arrived_;
  Bins lifted_;
  std::int64_t newest_us_ = 0;
};

}  // namespace

std::unique_ptr<Family> make_profiles(const Plan& plan) { return std::make_unique<Profiles>(plan); }

}  // namespace user_state
