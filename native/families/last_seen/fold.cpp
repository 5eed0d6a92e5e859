// Last seen: for each distinct value of a field, or each local day with an event, the last second it was seen. What
// events make of them.
//
//     values   the values of a field: 64 bits each, xxh64 of a string, the bits of a number
//     days     the local days with an event; the day follows from the second, so it is not kept beside it
//
// A value lies in a window if and only if it was last seen at or after the window's start, so one set of rows answers
// for all windows. Two sets are joined by uniting them, each value with the later of its seconds.
//
// A track keeps at most `cap` rows, the newest by (second, value). What is among the newest of a whole is among the
// newest of each part that has it, so rows are a function of the set of events: neither order nor batches matter. A
// window that has more than `cap` values counts `cap`: at least so many.
#include <algorithm>
#include <bit>

#include "families/family.hpp"
#include "families/last_seen/stored.hpp"

namespace user_state {

namespace {

// Objects, and no functions: so they are taken into the loops that compare by them.
constexpr auto by_value = [](const Seen& a, const Seen& b) { return a.value < b.value; };
constexpr auto by_age = [](const Seen& a, const Seen& b) {
  return a.second != b.second ? a.second < b.second : a.value < b.value;
};

/// Puts settled rows in among settled ones; those that were there already are moved at most once. `added` is used up.
void unite(std::vector<Seen>& rows, std::vector<Seen>& added) {
  auto found_of = [&](const Seen& row, std::size_t end) {
    return std::lower_bound(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(end), row, by_value);
  };
  std::erase_if(added, [&](const Seen& row) {
    auto found = found_of(row, rows.size());
    if (found == rows.end() || found->value != row.value) return false;
    found->second = std::max(found->second, row.second);
    return true;
  });
  std::size_t end = rows.size();
  rows.resize(end + added.size());
  for (std::size_t left = added.size(); left > 0; --left) {
    auto found = found_of(added[left - 1], end), behind = rows.begin() + static_cast<std::ptrdiff_t>(end);
    std::move_backward(found, behind, behind + static_cast<std::ptrdiff_t>(left));
    end = static_cast<std::size_t>(found - rows.begin());
    rows[end + left - 1] = added[left - 1];
  }
}

class LastSeenOfTracks : public Family {
 public:
  explicit LastSeenOfTracks(const Plan& plan) : plan_(plan), held_(of_days(plan)) {}

  void read(Reader in, const Strings&) override { held_.read(in); }

  void fold(const Arrivals& arrivals, Strings&) override {
    for (std::size_t track = 0; track < held_.rows.size(); ++track) {
      lift(plan_.last_seen[track], arrivals);
      take_in_arrived(track);
      forget(track, arrivals.clock_us);
    }
  }

  void absorb(const Family& family, std::span<const int> becomes, std::int64_t clock_us, Strings&) override {
    const auto& other = static_cast<const LastSeenOfTracks&>(family);
    for (std::size_t track = 0; track < held_.rows.size(); ++track) settle_days(track, held_.rows[track]);
    for (std::size_t from = 0; from < other.held_.rows.size(); ++from) {
      if (becomes[from] == kGone) continue;
      auto track = static_cast<std::size_t>(becomes[from]);
      need(held_.of_days(track) == other.held_.of_days(from));
      arrived_ = other.held_.rows[from];
      settle_days(track, arrived_);
      unite(held_.rows[track], arrived_);
    }
    for (std::size_t track = 0; track < held_.rows.size(); ++track) forget(track, clock_us);
  }

  void write(Writer& out, const Strings&) const override { held_.write(out); }

 private:
  static std::vector<bool> of_days(const Plan& plan) {
    std::vector<bool> days;
    for (const LastSeen& track : plan.last_seen) days.push_back(track.of_days);
    return days;
  }

  /// Fills `arrived_` with a row for every event that the track wants.
  void lift(const LastSeen& track, const Arrivals& arrivals) {
    const Events& events = arrivals.events;
    arrived_.clear();
    for (std::uint32_t event : arrivals.rows) {
      if (!takes(track, events, event)) continue;
      std::int64_t second = events.second(event);
      arrived_.push_back({track.of_days ? plan_.local_time.day(second) : value_of(events, *track.of, event), second});
    }
  }

  static std::int64_t value_of(const Events& events, int field, std::uint32_t event) {
    switch (events.kind(field)) {
      case Kind::kString: return static_cast<std::int64_t>(events.text_hash(events.integer(field, event)));
      // Adding 0.0 makes -0.0, which equals 0.0, the same value.
      case Kind::kFloat: return std::bit_cast<std::int64_t>(events.real(field, event) + 0.0);
      default: return events.integer(field, event);
    }
  }

  void settle_days(std::size_t track, std::vector<Seen>& rows) const {
    if (held_.of_days(track)) user_state::settle_days(rows, plan_.local_time);
  }

  void take_in_arrived(std::size_t track) {
    settle_days(track, held_.rows[track]);
    settle(arrived_);
    unite(held_.rows[track], arrived_);
  }

  /// Leaves out what is beyond the cap of a track, or out of its reach.
  void forget(std::size_t index, std::int64_t clock_us) {
    const LastSeen& track = plan_.last_seen[index];
    keep_newest(held_.rows[index], static_cast<std::size_t>(track.cap));
    if (!track.reach_s) return;
    std::int64_t oldest_s = floor_div(clock_us, 1'000'000) - plan_.skew_s - *track.reach_s;
    std::erase_if(held_.rows[index], [oldest_s](const Seen& row) { return row.second < oldest_s; });
  }

  /// Leaves out the oldest of more than `cap` rows.
  void keep_newest(std::vector<Seen>& rows, std::size_t cap) {
    if (rows.size() <= cap) return;
    arrived_.assign(rows.begin(), rows.end());
    auto oldest_kept = arrived_.begin() + static_cast<std::ptrdiff_t>(rows.size() - cap);
    std::ranges::nth_element(arrived_, oldest_kept, by_age);
    std::erase_if(rows, [limit = *oldest_kept](const Seen& row) { return by_age(row, limit); });
  }

  const Plan& plan_;
  StoredLastSeen held_;
  std::vector<Seen> arrived_;
};

}  // namespace

std::unique_ptr<Family> make_last_seen(const Plan& plan) { return std::make_unique<LastSeenOfTracks>(plan); }

}  // namespace user_state
