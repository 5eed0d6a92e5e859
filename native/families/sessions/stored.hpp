// The sessions of one record, as its section has them: what folding and reading have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "families/sessions/columns.hpp"

namespace user_state {

struct Session {
  int track;
  std::int64_t start_us, end_us, events;

  std::int64_t length_us() const { return end_us - start_us; }
  bool operator<(const Session& other) const {
    return track != other.track ? track < other.track : start_us < other.start_us;
  }
};

/// What the sessions of a track come to that are too old to be kept apart.
struct SessionTotals {
  std::int64_t sessions = 0, length_us = 0, events = 0;

  void add(const SessionTotals& other);
};

class StoredSessions {
 public:
  /// No number of events, and no total, is as large.
  static constexpr std::int64_t kMost = std::int64_t{1} << 61;

  explicit StoredSessions(std::size_t tracks) : totals(tracks) {}

  void read(Reader in);
  void write(Writer& out) const;

  /// In order of track and start, and apart.
  std::vector<Session> sessions;
  /// Of each track.
  std::vector<SessionTotals> totals;

 private:
  void take_totals(const SessionColumns<Stored>& columns);

  /// Reused record after record.
  mutable SessionColumns<Fresh> fresh_;
};

}  // namespace user_state
