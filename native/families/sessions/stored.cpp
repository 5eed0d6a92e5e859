#include "families/sessions/stored.hpp"

namespace user_state {

namespace {

bool has(const Packed<std::uint8_t>& mask, std::size_t track) { return mask[track / 8] >> track % 8 & 1; }

}  // namespace

void SessionTotals::add(const SessionTotals& other) {
  sessions += other.sessions;
  length_us += other.length_us;
  events += other.events;
  constexpr std::int64_t kMost = StoredSessions::kMost;
  need(sessions < kMost && length_us < kMost && events < kMost, "totals are too large");
}

void StoredSessions::read(Reader in) {
  SessionColumns<Stored> columns;
  read_columns(in, columns, totals.size());
  need(columns.newest_us >= 0 && columns.newest_us < kTooLarge, "invalid newest end");
  sessions.clear();
  std::size_t at = 0;
  for (std::size_t track = 0; track < totals.size(); ++track) {
    for (std::size_t end = at + columns.sizes[track]; at < end; ++at) {
      std::uint64_t age_us = columns.ages_us[at], length_us = columns.lengths_us[at];
      std::uint64_t further = columns.further_events[at];
      need(age_us <= static_cast<std::uint64_t>(columns.newest_us), "a session ends before 1970");
      std::int64_t end_us = columns.newest_us - static_cast<std::int64_t>(age_us);
      need(length_us <= static_cast<std::uint64_t>(end_us), "a session begins before 1970");
      need(further < static_cast<std::uint64_t>(kMost), "a session has too many events");
      Session next{static_cast<int>(track), end_us - static_cast<std::int64_t>(length_us), end_us,
                   static_cast<std::int64_t>(further) + 1};
      bool apart = sessions.empty() || sessions.back().track != next.track || next.start_us > sessions.back().end_us;
      need(apart, "sessions overlap, or are not in order");
      sessions.push_back(next);
    }
  }
  take_totals(columns);
}

void StoredSessions::take_totals(const SessionColumns<Stored>& columns) {
  std::ranges::fill(totals, SessionTotals{});
  std::size_t at = 0;
  for (std::size_t track = 0; track < 8 * columns.mask.size(); ++track) {
    if (!has(columns.mask, track)) continue;
    need(track < totals.size(), "totals of a track that there is not");
    SessionTotals one{columns.totals[at], columns.totals[at + 1], columns.totals[at + 2]};
    at += 3;
    need(one.sessions >= 1 && one.length_us >= 0 && one.events >= 1, "totals are negative, or of nothing");
    totals[track] = {};
    totals[track].add(one);
  }
}

void StoredSessions::write(Writer& out) const {
  SessionColumns<Fresh>& fresh = fresh_;
  fresh.newest_us = 0;
  fresh.sizes.assign(totals.size(), 0);
  for (const Session& session : sessions) {
    fresh.newest_us = std::max(fresh.newest_us, session.end_us);
    ++fresh.sizes[session.track];
  }
  fresh.ages_us.clear(), fresh.lengths_us.clear(), fresh.further_events.clear();
  for (const Session& session : sessions) {
    fresh.ages_us.push_back(static_cast<std::uint64_t>(fresh.newest_us - session.end_us));
    fresh.lengths_us.push_back(static_cast<std::uint64_t>(session.length_us()));
    fresh.further_events.push_back(static_cast<std::uint64_t>(session.events - 1));
  }
  fresh.flags = fresh.ages_us.flags() | fresh.lengths_us.flags() | fresh.further_events.flags();
  fresh.mask.assign((totals.size() + 7) / 8, 0);
  fresh.totals.clear();
  for (std::size_t track = 0; track < totals.size(); ++track) {
    const SessionTotals& one = totals[track];
    if (one.sessions == 0) continue;
    fresh.mask[track / 8] |= static_cast<std::uint8_t>(1 << track % 8);
    fresh.totals.insert(fresh.totals.end(), {one.sessions, one.length_us, one.events});
  }
  write_columns(out, fresh, totals.size());
}

std::string describe_sessions() { return describe_columns<SessionColumns<Stored>>(std::size_t{1}); }

}  // namespace user_state
