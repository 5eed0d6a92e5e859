// Numbers read from sessions. A window covers the sessions that end in it; `lifetime` adds the totals of those dropped.
//
//     count            how many
//     length, events   the mean of their lengths (last event less first, in seconds), and of how many events they have
//     current          length, or events, of the newest session, if it ended no more than the gap before the reading
#include "families/part.hpp"
#include "families/sessions/stored.hpp"

namespace user_state::reading {

namespace {

class Sessions : public Part {
 public:
  explicit Sessions(const Program& program) : program_(program), held_(program.session_gaps_us.size()) {}

  void set_time(std::int64_t at_us) override {
    at_us_ = at_us;
    since_us_.clear();
    for (std::int64_t start : starts_s(program_.sessions, at_us)) since_us_.push_back(start * kSecondUs);
  }

  void read(Reader in, const Row& row) override {
    held_.read(in);
    for (std::size_t at = 0; at < program_.sessions.size(); ++at) {
      const SessionOutput& output = program_.sessions[at];
      bool current = output.aggregate >= SessionAggregate::kCurrentLength;
      double value = current ? of_current(output, since_us_[at]) : of_window(output, since_us_[at]);
      row.values[output.column] = static_cast<float>(value);
    }
  }

 private:
  /// Of the newest session, if the next event could still be part of it.
  double of_current(const SessionOutput& output, std::int64_t since_us) const {
    std::int64_t open_us = std::max(since_us, at_us_ - program_.session_gaps_us[output.track]);
    double value = output.empty;
    for (const Session& session : held_.sessions) {
      if (session.track != output.track || session.end_us < open_us) continue;
      value = output.aggregate == SessionAggregate::kCurrentEvents
                  ? static_cast<double>(session.events)
                  : static_cast<double>(session.length_us()) / static_cast<double>(kSecondUs);
    }
    return value;
  }

  double of_window(const SessionOutput& output, std::int64_t since_us) const {
    double count = 0, length_us = 0, events = 0;
    auto add = [&](std::int64_t sessions, std::int64_t length, std::int64_t of_events) {
      count += static_cast<double>(sessions);
      length_us += static_cast<double>(length);
      events += static_cast<double>(of_events);
    };
    for (const Session& session : held_.sessions) {
      if (session.track == output.track && session.end_us >= since_us) {
        add(1, session.length_us(), session.events);
      }
    }
    const SessionTotals& total = held_.totals[output.track];
    if (since_us == 0) add(total.sessions, total.length_us, total.events);
    if (count == 0) return output.empty;
    switch (output.aggregate) {
      case SessionAggregate::kCount: return count;
      case SessionAggregate::kLengthMean: return length_us / static_cast<double>(kSecondUs) / count;
      default: return events / count;
    }
  }

  const Program& program_;
  std::int64_t at_us_ = 0;
  std::vector<std::int64_t> since_us_;
  StoredSessions held_;
};

}  // namespace

std::unique_ptr<Part> make_sessions(const Program& program) { return std::make_unique<Sessions>(program); }

}  // namespace user_state::reading
