// Numbers read from when values, or days, were last seen.
//
//     distinct   how many values were last seen at or after the window's start; `cap` at most, which says "at least"
//     days       the same of local days with an event
//     streak     how many such days in the window follow one another, up to the local day of the reading or the day
//                before; later days have no part in it
#include "families/last_seen/stored.hpp"
#include "families/part.hpp"

namespace user_state::reading {

namespace {

class LastSeen : public Part {
 public:
  explicit LastSeen(const Program& program) : program_(program), held_(program.last_seen_days) {}

  void set_time(std::int64_t at_us) override {
    starts_.set(starts_s(program_.last_seen, at_us));
    today_ = program_.local_time.day(floor_div(at_us, kSecondUs));
  }

  void read(Reader in, const Row& row) override {
    held_.read(in);
    for (std::size_t track = 0; track < held_.rows.size(); ++track) {
      if (held_.of_days(track)) settle_days(held_.rows[track], program_.local_time);
      put(static_cast<int>(track), row);
    }
  }

 private:
  void put(int track, const Row& row) {
    const std::vector<Seen>& rows = held_.rows[static_cast<std::size_t>(track)];
    counts_.assign(starts_.size(), 0);
    for (const Seen& seen : rows) {
      if (std::size_t holding = starts_.holding(seen.second)) ++counts_[holding - 1];
    }
    for (std::size_t window = starts_.size(); window-- > 1;) counts_[window - 1] += counts_[window];
    for (std::size_t at = 0; at < program_.last_seen.size(); ++at) {
      const LastSeenOutput& output = program_.last_seen[at];
      if (output.track != track) continue;
      std::int64_t count = counts_[starts_.place(at)];
      std::int64_t number = output.streak ? streak(rows, starts_[starts_.place(at)]) : std::min(count, output.cap);
      row.values[output.column] = static_cast<float>(count > 0 ? static_cast<double>(number) : output.empty);
    }
  }

  /// How many days up to today or yesterday follow one another.
  std::int64_t streak(const std::vector<Seen>& days, std::int64_t start_s) const {
    std::int64_t length = 0, last = 0;
    for (const Seen& day : days) {
      if (day.second < start_s || day.value > today_) continue;
      length = length > 0 && day.value == last + 1 ? length + 1 : 1;
      last = day.value;
    }
    return length > 0 && last >= today_ - 1 ? length : 0;
  }

  const Program& program_;
  StoredLastSeen held_;
  Starts starts_;
  std::int64_t today_ = 0;
  std::vector<std::int64_t> counts_;
};

}  // namespace

std::unique_ptr<Part> make_last_seen(const Program& program) { return std::make_unique<LastSeen>(program); }

}  // namespace user_state::reading
