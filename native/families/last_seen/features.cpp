// Distinct values and days: user_state/core/last_seen.py says what they are, codec/last_seen.py has the bytes.
#include "families/part.hpp"

namespace user_state::reading {

namespace {

constexpr std::uint8_t kFarTimes = 1;

class LastSeen : public Part {
 public:
  explicit LastSeen(const Program& program) : program_(program) {}

  void set_time(std::int64_t at_us) override {
    starts_.set(starts_s(program_.last_seen, at_us));
    today_ = program_.local_time.day(floor_div(at_us, kSecondUs));
  }

  void read(Reader in, const Row& row) override {
    std::size_t tracks = program_.last_seen_days.size();
    auto flags = in.take<std::uint8_t>();
    need(flags <= kFarTimes);
    auto sizes = in.packed<std::uint16_t>(tracks);
    std::int64_t newest_s = in.take<std::uint32_t>();
    std::size_t rows = 0, values = 0;
    for (std::size_t track = 0; track < tracks; ++track) {
      rows += sizes[track];
      if (!program_.last_seen_days[track]) values += sizes[track];
    }
    auto low = in.packed<std::uint16_t>(rows);
    auto middle = in.packed<std::uint8_t>(rows);
    auto top = in.packed<std::uint8_t>(flags & kFarTimes ? rows : 0);
    auto stored = in.packed<std::int64_t>(values);
    in.end();
    std::size_t at = 0, value = 0;
    for (std::size_t track = 0; track < tracks; ++track) {
      bool days = program_.last_seen_days[track];
      seen_.resize(sizes[track]);
      for (Seen& seen : seen_) {
        std::int64_t age_s = low[at] | std::int64_t{middle[at]} << 16;
        if (flags & kFarTimes) age_s |= std::int64_t{top[at]} << 24;
        ++at;
        need(age_s <= newest_s);
        seen.second = newest_s - age_s;
        seen.value = days ? program_.local_time.day(seen.second) : stored[value++];
      }
      settle(days);
      put(static_cast<int>(track), row);
    }
  }

 private:
  /// A value or a day, and the last second it was seen.
  struct Seen {
    std::int64_t value, second;
  };

  /// Days were numbered by the time zone of their time: a changed one may have made one of two.
  void settle(bool days) {
    auto not_after = [](const Seen& a, const Seen& b) { return a.value >= b.value; };
    if (std::ranges::adjacent_find(seen_, not_after) == seen_.end()) return;
    need(days);
    std::ranges::sort(seen_, [](const Seen& a, const Seen& b) {
      return a.value != b.value ? a.value < b.value : a.second < b.second;
    });
    std::size_t kept = 0;
    for (std::size_t at = 0; at < seen_.size(); ++at) {
      if (at + 1 == seen_.size() || seen_[at + 1].value != seen_[at].value) seen_[kept++] = seen_[at];
    }
    seen_.resize(kept);
  }

  void put(int track, const Row& row) {
    counts_.assign(starts_.size(), 0);
    for (const Seen& seen : seen_) {
      if (std::size_t holding = starts_.holding(seen.second)) ++counts_[holding - 1];
    }
    for (std::size_t window = starts_.size(); window-- > 1;) counts_[window - 1] += counts_[window];
    for (std::size_t at = 0; at < program_.last_seen.size(); ++at) {
      const LastSeenOutput& output = program_.last_seen[at];
      if (output.track != track) continue;
      std::int64_t count = counts_[starts_.place(at)];
      std::int64_t number = output.streak ? streak(starts_[starts_.place(at)]) : std::min(count, output.cap);
      row.values[output.column] = static_cast<float>(count > 0 ? static_cast<double>(number) : output.empty);
    }
  }

  /// How many days up to today or yesterday follow one another.
  std::int64_t streak(std::int64_t start_s) const {
    std::int64_t length = 0, last = 0;
    for (const Seen& day : seen_) {
      if (day.second < start_s || day.value > today_) continue;
      length = length > 0 && day.value == last + 1 ? length + 1 : 1;
      last = day.value;
    }
    return length > 0 && last >= today_ - 1 ? length : 0;
  }

  const Program& program_;
  Starts starts_;
  std::int64_t today_ = 0;
  std::vector<Seen> seen_;
  std::vector<std::int64_t> counts_;
};

}  // namespace

std::unique_ptr<Part> make_last_seen(const Program& program) { return std::make_unique<LastSeen>(program); }

}  // namespace user_state::reading
