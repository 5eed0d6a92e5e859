#include "events/events.hpp"

#include <stdexcept>

#include "codec/xxh64.hpp"
#include "events/matching.hpp"

namespace user_state {

Events::Events(const Plan& plan, const Columns& columns) : columns_(columns), by_user_(columns.user, columns.users) {
  // What is before 1970 has no tile.
  for (std::int64_t at : columns.time_us) {
    if (at < 0 || at >= kFarthestUs) throw std::invalid_argument("expected event times from 0 to 2^61 us");
  }
  hashes_.resize(columns.texts.size());
  hashed_.resize(columns.texts.size());
  matched_.resize(plan.filters.size() * size(), 1);
  for (std::size_t filter = 0; filter < plan.filters.size(); ++filter) {
    match(plan.filters[filter], columns, std::span(matched_).subspan(filter * size(), size()));
  }
}

std::uint64_t Events::text_hash(std::int64_t code) const {
  if (!hashed_[code]) {
    hashes_[code] = xxh64(columns_.texts[code], 0);
    hashed_[code] = 1;
  }
  return hashes_[code];
}

double Events::weight(const Weights& weights, std::uint32_t row) const {
  if (!weights.field) return 1.0;
  std::int64_t code = integer(*weights.field, row);
  if (code == kNullCode) return 0.0;
  auto found = weights.of_text.find(text(code));
  return found == weights.of_text.end() ? 0.0 : found->second;
}

}  // namespace user_state
