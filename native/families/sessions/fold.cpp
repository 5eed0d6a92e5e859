// Sessions: events that pass a filter, each no more than a gap after the one before, as (first, last, how many). What
// events make of them.
//
// Two sessions are one where no more than the gap lies between the end of the one and the start of the other, so states
// are joined by the union of intervals: sort by start, carry the greatest end so far along, and begin a new session
// where the next start lies more than a gap after it. An event is a session of its own until it is joined, and a late
// one may join two. The union depends on the set of intervals only, so neither order nor batches matter.
//
// A session is kept apart while a window may still count it (its end lies in the longest window of any reading) or an
// event that is not too late may still join it (its end is no more than `allowed_lateness` and the gap before the
// clock). After that it is dropped or, for `lifetime`, added to its track's totals. So records that are merged must not
// be apart by more than the lateness where a session crosses: of a chain of events from a session already dropped to a
// newer one, which another record brings, the older part is missing.
#include <algorithm>

#include "families/family.hpp"
#include "families/sessions/stored.hpp"

namespace user_state {

namespace {

class Sessions : public Family {
 public:
  explicit Sessions(const Plan& plan) : plan_(plan), held_(plan.sessions.size()), horizon_us_(plan.sessions.size()) {}

  void read(Reader in, const Strings&) override { held_.read(in); }

  void fold(const Arrivals& arrivals, Strings&) override {
    lift(arrivals);
    take_in_added(arrivals.clock_us);
  }

  void absorb(const Family& family, std::span<const int> becomes, std::int64_t clock_us, Strings&) override {
    const auto& other = static_cast<const Sessions&>(family);
    added_.clear();
    for (Session session : other.held_.sessions) {
      session.track = becomes[session.track];
      if (session.track != kGone) added_.push_back(session);
    }
    put_in_order(added_);
    for (std::size_t track = 0; track < other.held_.totals.size(); ++track) {
      if (becomes[track] != kGone) held_.totals[becomes[track]].add(other.held_.totals[track]);
    }
    take_in_added(clock_us);
  }

  void write(Writer& out, const Strings&) const override { held_.write(out); }

 private:
  /// Takes a session of its own for every event and track that wants it, in order.
  void lift(const Arrivals& arrivals) {
    const Events& events = arrivals.events;
    added_.clear();
    for (std::size_t track = 0; track < plan_.sessions.size(); ++track) {
      for (std::uint32_t row : arrivals.rows) {
        if (!takes(plan_.sessions[track], events, row)) continue;
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
    merged_.resize(held_.sessions.size() + added_.size());
    std::ranges::merge(held_.sessions, added_, merged_.begin(), std::less<>());
    unite();
    close(clock_us);
  }

  /// Makes one session of those that are no more than their track's gap apart.
  void unite() {
    std::vector<Session>& sessions = held_.sessions;
    sessions.clear();
    for (const Session& next : merged_) {
      bool apart = sessions.empty() || sessions.back().track != next.track ||
                   next.start_us - sessions.back().end_us > plan_.sessions[next.track].gap_us;
      if (apart) {
        sessions.push_back(next);
        continue;
      }
      Session& last = sessions.back();
      last.end_us = std::max(last.end_us, next.end_us);
      last.events += next.events;
      need(last.events < StoredSessions::kMost);
    }
  }

  /// Adds sessions that no window counts and no event joins any more to the totals, or drops them.
  void close(std::int64_t clock_us) {
    for (std::size_t track = 0; track < held_.totals.size(); ++track) {
      horizon_us_[track] = horizon_us(plan_.sessions[track], clock_us);
      if (!plan_.sessions[track].lifetime) held_.totals[track] = {};
    }
    std::erase_if(held_.sessions, [&](const Session& session) {
      bool old = session.end_us < horizon_us_[session.track];
      if (old && plan_.sessions[session.track].lifetime) {
        held_.totals[session.track].add({1, session.length_us(), session.events});
      }
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
  StoredSessions held_;
  std::vector<Session> added_, merged_;
  std::vector<std::int64_t> horizon_us_;
};

}  // namespace

std::unique_ptr<Family> make_sessions(const Plan& plan) { return std::make_unique<Sessions>(plan); }

}  // namespace user_state
