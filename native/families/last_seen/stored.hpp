// The values and days of one record, as its section has them: what folding and reading have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "families/last_seen/columns.hpp"

namespace user_state {

/// A value, or a day, and the last second it was seen.
struct Seen {
  /// 64 bits of a value, or the local day.
  std::int64_t value;
  std::int64_t second;
};

/// Whether rows are in the order of their values, each once.
bool is_settled(const std::vector<Seen>& rows);
/// Brings rows into the order of their values, each once with its last second.
void settle(std::vector<Seen>& rows);

class StoredLastSeen {
 public:
  /// `of_days` says of each track whether it is one of days.
  explicit StoredLastSeen(std::vector<bool> of_days) : rows(of_days.size()), of_days_(std::move(of_days)) {}

  void read(Reader in);
  void write(Writer& out) const;

  bool of_days(std::size_t track) const { return of_days_[track]; }

  /// Of each track. Rows of values are settled. `read` gives rows of days the value 0: which day it was depends on the
  /// time zone (`settle_days`).
  std::vector<std::vector<Seen>> rows;

 private:
  std::vector<bool> of_days_;
  /// Reused record after record.
  mutable LastSeenColumns<Fresh> fresh_;
};

/// Numbers rows of days by the time zone, and settles them: under other rules than those that they were stored under
/// they may be others, since zones change theirs.
template <class LocalTime>
void settle_days(std::vector<Seen>& rows, const LocalTime& local_time) {
  for (Seen& row : rows) row.value = local_time.day(row.second);
  settle(rows);
}

}  // namespace user_state
