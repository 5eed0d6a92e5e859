// When a user is forgotten: `retention` after the last event that was applied, as the server forgets a record that expires.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "events/admission.hpp"

namespace user_state {

struct Forgetting {
  /// Rows that are judged at once at first, where a user may be forgotten in between.
  static constexpr std::size_t kFirstJudged = 1024;

  /// How long after its last event a record is forgotten, and how long after its publish time an event arrives.
  std::int64_t retention_us, delay_us;

  bool is_forgotten(std::int64_t last_event_us, std::int64_t at_us) const { return last_event_us <= at_us - retention_us; }

  /// Returns the first of the rows at which the record of those applied before it had been forgotten, or their number.
  /// `last_us` is the last event of a record that there was before the rows.
  std::size_t first(std::optional<std::int64_t> last_us, const Admission::Arrived& arrived,
                    std::span<const std::uint32_t> rows, const Outcome* outcome) const {
    for (std::size_t at = 0; at < rows.size(); ++at) {
      std::uint32_t row = rows[at];
      if (last_us && is_forgotten(*last_us, arrived.published_us[row] + delay_us)) return at;
      if (outcome[row] == Outcome::kApplied) last_us = std::max(last_us.value_or(0), arrived.time_us[row]);
    }
    return rows.size();
  }
};

}  // namespace user_state
