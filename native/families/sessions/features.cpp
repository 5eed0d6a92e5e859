// Numbers read from sessions: user_state/core/sessions.py says what they are, codec/sessions.py has the bytes.
#include <array>

#include "families/part.hpp"

namespace user_state::reading {

namespace {

constexpr std::uint8_t kFarTimes = 1, kLong = 2, kManyEvents = 4, kAllFlags = 7;
constexpr std::int64_t kMostTotal = std::int64_t{1} << 61;
/// The fewest bytes that a session takes.
constexpr std::size_t kLeastBytes = 11;

class Sessions : public Part {
 public:
  explicit Sessions(const Program& program) : program_(program) {}

  void set_time(std::int64_t at_us) override {
    at_us_ = at_us;
    since_us_.clear();
    for (std::int64_t start : starts_s(program_.sessions, at_us)) since_us_.push_back(start * kSecondUs);
  }

  void read(Reader in, const Row& row) override {
    take(in);
    for (std::size_t at = 0; at < program_.sessions.size(); ++at) {
      const SessionOutput& output = program_.sessions[at];
      bool current = output.aggregate >= SessionAggregate::kCurrentLength;
      double value = current ? of_current(output, since_us_[at]) : of_window(output, since_us_[at]);
      row.values[output.column] = static_cast<float>(value);
    }
  }

 private:
  struct Session {
    int track;
    std::int64_t start_us, end_us, events;
  };
  /// What sessions that are no longer kept come to.
  struct Total {
    std::int64_t sessions = 0, length_us = 0, events = 0;
  };

  void take(Reader& in) {
    std::size_t tracks = program_.session_gaps_us.size();
    auto flags = in.take<std::uint8_t>();
    need(flags <= kAllFlags);
    sessions_.clear();
    for (std::size_t track = 0; track < tracks; ++track) {
      std::size_t rows = in.take<std::uint32_t>();
      need(sessions_.size() + rows <= in.left() / kLeastBytes);
      sessions_.resize(sessions_.size() + rows, Session{static_cast<int>(track), 0, 0, 0});
    }
    auto newest_us = in.take<std::int64_t>();
    need(newest_us >= 0 && newest_us < kTooLarge);
    std::size_t rows = sessions_.size();
    auto ages = in.packed<std::uint32_t>(rows);
    auto ages_high = in.packed<std::uint16_t>(rows);
    auto ages_top = in.packed<std::uint16_t>(flags & kFarTimes ? rows : 0);
    auto lengths = in.packed<std::uint32_t>(rows);
    auto lengths_high = in.packed<std::uint32_t>(flags & kLong ? rows : 0);
    auto events = in.packed<std::uint8_t>(rows);
    auto events_high = in.packed<std::uint64_t>(flags & kManyEvents ? rows : 0);
    for (std::size_t at = 0; at < rows; ++at) {
      Session& session = sessions_[at];
      std::uint64_t age_us = ages[at] | std::uint64_t{ages_high[at]} << 32;
      if (flags & kFarTimes) age_us |= std::uint64_t{ages_top[at]} << 48;
      std::uint64_t length_us = lengths[at], further = events[at];
      if (flags & kLong) length_us |= std::uint64_t{lengths_high[at]} << 32;
      if (flags & kManyEvents) {
        need(events_high[at] < static_cast<std::uint64_t>(kMostTotal) >> 8);
        further |= events_high[at] << 8;
      }
      need(age_us <= static_cast<std::uint64_t>(newest_us));
      session.end_us = newest_us - static_cast<std::int64_t>(age_us);
      need(length_us <= static_cast<std::uint64_t>(session.end_us));
      session.start_us = session.end_us - static_cast<std::int64_t>(length_us);
      session.events = static_cast<std::int64_t>(further) + 1;
      need(at == 0 || sessions_[at - 1].track != session.track || session.start_us > sessions_[at - 1].end_us);
    }
    take_totals(in, tracks);
    in.end();
  }

  void take_totals(Reader& in, std::size_t tracks) {
    std::string_view mask = in.bytes((tracks + 7) / 8);
    totals_.assign(tracks, {});
    for (std::size_t track = 0; track < 8 * mask.size(); ++track) {
      if (!(static_cast<std::uint8_t>(mask[track / 8]) >> track % 8 & 1)) continue;
      need(track < tracks);
      Total total{in.take<std::int64_t>(), in.take<std::int64_t>(), in.take<std::int64_t>()};
      need(total.sessions >= 1 && total.length_us >= 0 && total.events >= 1);
      need(std::max({total.sessions, total.length_us, total.events}) < kMostTotal);
      totals_[track] = total;
    }
  }

  /// Of the newest session, if the next event could still be part of it.
  double of_current(const SessionOutput& output, std::int64_t since_us) const {
    std::int64_t open_us = std::max(since_us, at_us_ - program_.session_gaps_us[output.track]);
    double value = output.empty;
    for (const Session& session : sessions_) {
      if (session.track != output.track || session.end_us < open_us) continue;
      value = output.aggregate == SessionAggregate::kCurrentEvents
                  ? static_cast<double>(session.events)
                  : static_cast<double>(session.end_us - session.start_us) / static_cast<double>(kSecondUs);
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
    for (const Session& session : sessions_) {
      if (session.track == output.track && session.end_us >= since_us) {
        add(1, session.end_us - session.start_us, session.events);
      }
    }
    const Total& total = totals_[output.track];
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
  std::vector<Session> sessions_;
  std::vector<Total> totals_;
};

}  // namespace

std::unique_ptr<Part> make_sessions(const Program& program) { return std::make_unique<Sessions>(program); }

}  // namespace user_state::reading
