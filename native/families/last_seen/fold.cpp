// Last seen: user_state/core/last_seen.py says what it is, codec/last_seen.py its bytes.
#include <algorithm>
#include <bit>
#include <limits>

#include "families/family.hpp"

namespace user_state {

namespace {

constexpr std::uint8_t kTop = 1;
constexpr std::int64_t kNarrowS = 1 << 24;

struct Row {
  /// 64 bits of a value, or the local day.
  std::int64_t value;
  std::int64_t second;
};

bool by_value(const Row& a, const Row& b) { return a.value < b.value; }

bool by_value_and_age(const Row& a, const Row& b) {
  return a.value != b.value ? a.value < b.value : a.second < b.second;
}

bool by_age(const Row& a, const Row& b) { return a.second != b.second ? a.second < b.second : a.value < b.value; }

/// Whether rows are in the order of their values, each once.
bool is_settled(const std::vector<Row>& rows) {
  auto not_after = [](const Row& a, const Row& b) { return a.value >= b.value; };
  return std::ranges::adjacent_find(rows, not_after) == rows.end();
}

/// Brings rows into the order of their values, each once with its last second.
void settle(std::vector<Row>& rows) {
  if (is_settled(rows)) return;
  std::ranges::sort(rows, by_value_and_age);
  std::size_t kept = 0;
  for (std::size_t at = 0; at < rows.size(); ++at) {
    if (at + 1 == rows.size() || rows[at + 1].value != rows[at].value) rows[kept++] = rows[at];
  }
  rows.resize(kept);
}

/// Puts settled rows in among settled ones; those that were there already are moved at most once. `added` is used up.
void unite(std::vector<Row>& rows, std::vector<Row>& added) {
  auto found_of = [&](const Row& row, std::size_t end) {
    return std::lower_bound(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(end), row, by_value);
  };
  std::erase_if(added, [&](const Row& row) {
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
  explicit LastSeenOfTracks(const Plan& plan) : plan_(plan), rows_(plan.last_seen.size()) {}

  void read(Reader in, const Strings&) override {
    auto flags = in.take<std::uint8_t>();
    need(flags <= kTop);
    auto sizes = in.packed<std::uint16_t>(rows_.size());
    auto newest_s = static_cast<std::int64_t>(in.take<std::uint32_t>());
    std::size_t rows = 0, values = 0;
    for (std::size_t track = 0; track < rows_.size(); ++track) {
      rows += sizes[track];
      if (!of_days(track)) values += sizes[track];
    }
    auto low = in.packed<std::uint16_t>(rows);
    auto middle = in.packed<std::uint8_t>(rows), top = in.packed<std::uint8_t>(flags == kTop ? rows : 0);
    auto value = in.packed<std::int64_t>(values);
    in.end();
    std::size_t at = 0, valued = 0;
    for (std::size_t track = 0; track < rows_.size(); ++track) {
      rows_[track].resize(sizes[track]);
      for (Row& row : rows_[track]) {
        std::int64_t age_s = low[at] | middle[at] << 16 | (top.empty() ? 0 : std::int64_t{top[at]} << 24);
        need(age_s <= newest_s);
        row.second = newest_s - age_s;
        ++at;
        if (!of_days(track)) row.value = value[valued++];
      }
      if (!of_days(track)) need(is_settled(rows_[track]));
    }
  }

  void fold(const Arrivals& arrivals, Strings&) override {
    for (std::size_t track = 0; track < rows_.size(); ++track) {
      lift(plan_.last_seen[track], arrivals);
      take_in_arrived(track);
      forget(track, arrivals.clock_us);
    }
  }

  void absorb(const Family& family, std::span<const int> becomes, std::int64_t clock_us, Strings&) override {
    const auto& other = static_cast<const LastSeenOfTracks&>(family);
    for (std::size_t track = 0; track < rows_.size(); ++track) settle_days(track, rows_[track]);
    for (std::size_t from = 0; from < other.rows_.size(); ++from) {
      if (becomes[from] == kGone) continue;
      auto track = static_cast<std::size_t>(becomes[from]);
      need(of_days(track) == other.of_days(from));
      arrived_ = other.rows_[from];
      settle_days(track, arrived_);
      unite(rows_[track], arrived_);
    }
    for (std::size_t track = 0; track < rows_.size(); ++track) forget(track, clock_us);
  }

  void write(Writer& out, const Strings&) const override {
    std::int64_t newest_s = 0, oldest_s = std::numeric_limits<std::int64_t>::max();
    for (const auto& rows : rows_) {
      need(rows.size() <= std::numeric_limits<std::uint16_t>::max());
      for (const Row& row : rows) {
        newest_s = std::max(newest_s, row.second);
        oldest_s = std::min(oldest_s, row.second);
      }
    }
    need(newest_s <= std::numeric_limits<std::uint32_t>::max());
    bool top = newest_s - oldest_s >= kNarrowS;
    out.put(static_cast<std::uint8_t>(top ? kTop : 0));
    for (const auto& rows : rows_) out.put(static_cast<std::uint16_t>(rows.size()));
    out.put(static_cast<std::uint32_t>(newest_s));
    auto age_s = [&](const Row& row) { return newest_s - row.second; };
    for (const auto& rows : rows_) out.column<std::uint16_t>(rows, age_s);
    for (const auto& rows : rows_) out.column<std::uint8_t>(rows, [&](const Row& row) { return age_s(row) >> 16; });
    for (std::size_t track = 0; top && track < rows_.size(); ++track) {
      out.column<std::uint8_t>(rows_[track], [&](const Row& row) { return age_s(row) >> 24; });
    }
    for (std::size_t track = 0; track < rows_.size(); ++track) {
      if (!of_days(track)) out.column<std::int64_t>(rows_[track], [](const Row& row) { return row.value; });
    }
  }

 private:
  bool of_days(std::size_t track) const { return plan_.last_seen[track].of_days; }

  /// Fills `arrived_` with a row for every event that the track wants.
  void lift(const LastSeen& track, const Arrivals& arrivals) {
    const Events& events = arrivals.events;
    arrived_.clear();
    for (std::uint32_t event : arrivals.rows) {
      if (!events.matches(track.filter, event) || (track.of && !events.has(*track.of, event))) continue;
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

  /// Numbers days anew: under other rules than those they were stored under they may be others, since zones change theirs.
  void settle_days(std::size_t track, std::vector<Row>& rows) const {
    if (!of_days(track)) return;
    for (Row& row : rows) row.value = plan_.local_time.day(row.second);
    settle(rows);
  }

  void take_in_arrived(std::size_t track) {
    settle_days(track, rows_[track]);
    settle(arrived_);
    unite(rows_[track], arrived_);
  }

  /// Leaves out what is beyond the cap of a track, or out of its reach.
  void forget(std::size_t index, std::int64_t clock_us) {
    const LastSeen& track = plan_.last_seen[index];
    keep_newest(rows_[index], static_cast<std::size_t>(track.cap));
    if (!track.reach_s) return;
    std::int64_t oldest_s = floor_div(clock_us, 1'000'000) - plan_.skew_s - *track.reach_s;
    std::erase_if(rows_[index], [oldest_s](const Row& row) { return row.second < oldest_s; });
  }

  /// Leaves out the oldest of more than `cap` rows.
  void keep_newest(std::vector<Row>& rows, std::size_t cap) {
    if (rows.size() <= cap) return;
    arrived_.assign(rows.begin(), rows.end());
    auto oldest_kept = arrived_.begin() + static_cast<std::ptrdiff_t>(rows.size() - cap);
    std::ranges::nth_element(arrived_, oldest_kept, by_age);
    std::erase_if(rows, [limit = *oldest_kept](const Row& row) { return by_age(row, limit); });
  }

  const Plan& plan_;
  /// Of each track, in the order of their values.
  std::vector<std::vector<Row>> rows_;
  std::vector<Row> arrived_;
};

}  // namespace

std::unique_ptr<Family> make_last_seen(const Plan& plan) { return std::make_unique<LastSeenOfTracks>(plan); }

}  // namespace user_state
