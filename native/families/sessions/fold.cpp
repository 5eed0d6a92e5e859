// Sessions: user_state/core/sessions.py says what they are, codec/sessions.py their bytes.
#include <algorithm>
#include <array>

#include "families/family.hpp"

namespace user_state {

namespace {

constexpr std::uint8_t kTop = 1, kLong = 2, kMany = 4;
constexpr std::int64_t kNarrowUs = std::int64_t{1} << 48, kShortUs = std::int64_t{1} << 32, kFew = 1 << 8;
/// No number of events, and no total, is as large.
constexpr std::int64_t kMost = std::int64_t{1} << 61;
constexpr std::int64_t kSecondUs = 1'000'000;
/// What a session takes of a section, without columns that may be left out.
constexpr std::size_t kLeastBytes = 11;

struct Session {
  int track;
  std::int64_t start_us, end_us, events;

  bool operator<(const Session& other) const {
    return track != other.track ? track < other.track : start_us < other.start_us;
  }
};

/// Of the sessions of a track that are too old to be kept apart.
struct Totals {
  std::int64_t sessions = 0, length_us = 0, events = 0;

  void add(const Totals& other) {
    sessions += other.sessions;
    length_us += other.length_us;
    events += other.events;
    need(sessions < kMost && length_us < kMost && events < kMost);
  }
};

class Sessions : public Family {
 public:
  explicit Sessions(const Plan& plan) : plan_(plan), totals_(plan.sessions.size()), horizon_us_(plan.sessions.size()) {}

  void read(Reader in, const Strings&) override {
    auto flags = in.take<std::uint8_t>();
    need(flags <= (kTop | kLong | kMany));
    sessions_.clear();
    for (std::size_t track = 0; track < totals_.size(); ++track) {
      std::size_t rows = in.take<std::uint32_t>();
      need(sessions_.size() + rows <= in.left() / kLeastBytes);
      sessions_.resize(sessions_.size() + rows, Session{static_cast<int>(track), 0, 0, 0});
    }
    auto newest_us = in.take<std::int64_t>();
    need(newest_us >= 0 && newest_us < kTooLarge);
    take_columns(in, flags, newest_us);
    take_totals(in);
    in.end();
  }

  void fold(const Arrivals& arrivals, Strings&) override {
    lift(arrivals);
    take_in_added(arrivals.clock_us);
  }

  void absorb(const Family& family, std::span<const int> becomes, std::int64_t clock_us, Strings&) override {
    const auto& other = static_cast<const Sessions&>(family);
    added_.clear();
    for (Session session : other.sessions_) {
      session.track = becomes[session.track];
      if (session.track != kGone) added_.push_back(session);
    }
    put_in_order(added_);
    for (std::size_t track = 0; track < other.totals_.size(); ++track) {
      if (becomes[track] != kGone) totals_[becomes[track]].add(other.totals_[track]);
    }
    take_in_added(clock_us);
  }

  void write(Writer& out, const Strings&) const override {
    std::int64_t newest_us = 0;
    for (const Session& session : sessions_) newest_us = std::max(newest_us, session.end_us);
    auto age_us = [&](const Session& session) { return newest_us - session.end_us; };
    auto length_us = [](const Session& session) { return session.end_us - session.start_us; };
    auto fewer = [](const Session& session) { return session.events - 1; };
    std::uint8_t flags = 0;
    for (const Session& session : sessions_) {
      if (age_us(session) >= kNarrowUs) flags |= kTop;
      if (length_us(session) >= kShortUs) flags |= kLong;
      if (fewer(session) >= kFew) flags |= kMany;
    }
    out.put(flags);
    auto from = sessions_.begin();
    for (std::size_t track = 0; track < totals_.size(); ++track) {
      auto end = std::find_if(from, sessions_.end(), [&](const Session& s) { return s.track != static_cast<int>(track); });
      out.put(static_cast<std::uint32_t>(end - from));
      from = end;
    }
    out.put(newest_us);
    out.column<std::uint32_t>(sessions_, age_us);
    out.column<std::uint16_t>(sessions_, [&](const Session& session) { return age_us(session) >> 32; });
    if (flags & kTop) out.column<std::uint16_t>(sessions_, [&](const Session& s) { return age_us(s) >> 48; });
    out.column<std::uint32_t>(sessions_, length_us);
    if (flags & kLong) out.column<std::uint32_t>(sessions_, [&](const Session& s) { return length_us(s) >> 32; });
    out.column<std::uint8_t>(sessions_, fewer);
    if (flags & kMany) out.column<std::uint64_t>(sessions_, [&](const Session& s) { return fewer(s) >> 8; });
    write_totals(out);
  }

 private:
  std::size_t mask_width() const { return (totals_.size() + 7) / 8; }

  /// Takes the columns of as many sessions as there are, of which tracks are known.
  void take_columns(Reader& in, std::uint8_t flags, std::int64_t newest_us) {
    ages_us_.assign(sessions_.size(), 0);
    lengths_us_.assign(sessions_.size(), 0);
    fewer_.assign(sessions_.size(), 0);
    add_part<std::uint32_t>(in, 0, ages_us_);
    add_part<std::uint16_t>(in, 32, ages_us_);
    if (flags & kTop) add_part<std::uint16_t>(in, 48, ages_us_);
    add_part<std::uint32_t>(in, 0, lengths_us_);
    if (flags & kLong) add_part<std::uint32_t>(in, 32, lengths_us_);
    add_part<std::uint8_t>(in, 0, fewer_);
    if (flags & kMany) add_part<std::uint64_t>(in, 8, fewer_);
    for (std::size_t at = 0; at < sessions_.size(); ++at) {
      Session& session = sessions_[at];
      need(ages_us_[at] <= static_cast<std::uint64_t>(newest_us));
      session.end_us = newest_us - static_cast<std::int64_t>(ages_us_[at]);
      need(lengths_us_[at] <= static_cast<std::uint64_t>(session.end_us));
      session.start_us = session.end_us - static_cast<std::int64_t>(lengths_us_[at]);
      need(fewer_[at] < static_cast<std::uint64_t>(kMost));
      session.events = static_cast<std::int64_t>(fewer_[at]) + 1;
      need(at == 0 || sessions_[at - 1].track != session.track || session.start_us > sessions_[at - 1].end_us);
    }
  }

  /// Takes the bits of numbers from `shift` on.
  template <class T>
  static void add_part(Reader& in, int shift, std::vector<std::uint64_t>& numbers) {
    std::string_view part = in.bytes(sizeof(T) * numbers.size());
    for (std::size_t at = 0; at < numbers.size(); ++at) {
      T bits;
      std::memcpy(&bits, part.data() + sizeof(T) * at, sizeof(T));
      numbers[at] |= static_cast<std::uint64_t>(bits) << shift;
    }
  }

  void take_totals(Reader& in) {
    std::string_view mask = in.bytes(mask_width());
    std::ranges::fill(totals_, Totals{});
    for (std::size_t track = 0; track < 8 * mask.size(); ++track) {
      if (!(static_cast<std::uint8_t>(mask[track / 8]) >> track % 8 & 1)) continue;
      need(track < totals_.size());
      Totals& totals = totals_[track];
      totals = {in.take<std::int64_t>(), in.take<std::int64_t>(), in.take<std::int64_t>()};
      need(totals.sessions >= 1 && totals.length_us >= 0 && totals.events >= 1);
      need(totals.sessions < kMost && totals.length_us < kMost && totals.events < kMost);
    }
  }

  void write_totals(Writer& out) const {
    for (std::size_t begin = 0; begin < totals_.size(); begin += 8) {
      std::uint8_t mask = 0;
      for (std::size_t at = begin; at < std::min(begin + 8, totals_.size()); ++at) {
        mask |= static_cast<std::uint8_t>((totals_[at].sessions > 0) << (at - begin));
      }
      out.put(mask);
    }
    for (const Totals& totals : totals_) {
      if (totals.sessions == 0) continue;
      out.put(totals.sessions);
      out.put(totals.length_us);
      out.put(totals.events);
    }
  }

  /// Takes a session of its own for every event and track that wants it, in order.
  void lift(const Arrivals& arrivals) {
    const Events& events = arrivals.events;
    added_.clear();
    for (std::size_t track = 0; track < plan_.sessions.size(); ++track) {
      for (std::uint32_t row : arrivals.rows) {
        if (!events.matches(plan_.sessions[track].filter, row)) continue;
        std::int64_t time_us = events.time_us(row);
        added_.push_back({static_cast<int>(track), time_us, time_us, 1});
      }
    }
    put_in_order(added_);
  }

  static void put_in_order(std::vector<Session>& sessions) {
    if (!std::is_sorted(sessions.begin(), sessions.end())) std::sort(sessions.begin(), sessions.end());
  }

  /// Joins what was added, in order, with what there is.
  void take_in_added(std::int64_t clock_us) {
    merged_.resize(sessions_.size() + added_.size());
    std::ranges::merge(sessions_, added_, merged_.begin(), std::less<>());
    unite();
    close(clock_us);
  }

  /// Makes one session of those that are no more than their track's gap apart.
  void unite() {
    sessions_.clear();
    for (const Session& next : merged_) {
      bool apart = sessions_.empty() || sessions_.back().track != next.track ||
                   next.start_us - sessions_.back().end_us > plan_.sessions[next.track].gap_us;
      if (apart) {
        sessions_.push_back(next);
        continue;
      }
      Session& last = sessions_.back();
      last.end_us = std::max(last.end_us, next.end_us);
      last.events += next.events;
      need(last.events < kMost);
    }
  }

  /// Adds sessions that no window counts and no event joins any more to the totals, or drops them.
  void close(std::int64_t clock_us) {
    for (std::size_t track = 0; track < totals_.size(); ++track) {
      horizon_us_[track] = horizon_us(plan_.sessions[track], clock_us);
      if (!plan_.sessions[track].lifetime) totals_[track] = {};
    }
    std::erase_if(sessions_, [&](const Session& session) {
      bool old = session.end_us < horizon_us_[session.track];
      if (old && plan_.sessions[session.track].lifetime) totals_[session.track].add({1, session.end_us - session.start_us, session.events});
      return old;
    });
  }

  std::int64_t horizon_us(const SessionTrack& track, std::int64_t clock_us) const {
    std::int64_t joined_us = clock_us - plan_.allowed_lateness_us - track.gap_us;
    if (!track.horizon || !track.horizon->reach_s) return joined_us;
    std::int64_t oldest_s = floor_div(clock_us, kSecondUs) - plan_.skew_s - *track.horizon->reach_s;
    return std::min(joined_us, floor_div(oldest_s, track.horizon->width_s) * track.horizon->width_s * kSecondUs);
  }

  const Plan& plan_;
  /// In order of track and start, and apart.
  std::vector<Session> sessions_;
  std::vector<Session> added_, merged_;
  std::vector<Totals> totals_;
  std::vector<std::int64_t> horizon_us_;
  std::vector<std::uint64_t> ages_us_, lengths_us_, fewer_;
};

}  // namespace

std::unique_ptr<Family> make_sessions(const Plan& plan) { return std::make_unique<Sessions>(plan); }

}  // namespace user_state
