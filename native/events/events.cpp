#include "events/events.hpp"

#include <algorithm>
#include <stdexcept>

#include "codec/xxh64.hpp"

namespace user_state {

Events::Events(const Plan& plan, const Columns& columns) : columns_(columns), by_user_(columns.user, columns.users) {
  // What is before 1970 has no tile.
  for (std::int64_t at : columns.time_us) {
    if (at < 0 || at >= kTooLarge) throw std::invalid_argument("expected event times from 0 to 2^62 us");
  }
  hashes_.resize(columns.texts.size());
  hashed_.resize(columns.texts.size());
  matched_.resize(plan.filters.size() * size(), 1);
  for (std::size_t filter = 0; filter < plan.filters.size(); ++filter) {
    match(plan.filters[filter], matched_.data() + filter * size());
  }
}

void Events::match(const Filter& filter, std::uint8_t* matched) const {
  std::vector<std::uint8_t> accepted_code;
  for (const Condition& condition : filter.conditions) {
    const Columns::Field& column = columns_.fields[condition.field];
    switch (column.kind) {
      case Kind::kString: {
        // The last one is a null's.
        accepted_code.assign(columns_.texts.size() + 1, 0);
        for (std::size_t code = 0; code < columns_.texts.size(); ++code) {
          accepted_code[code] = std::ranges::find(condition.texts, columns_.texts[code]) != condition.texts.end();
        }
        for (std::size_t row = 0; row < size(); ++row) {
          std::int64_t code = column.integers[row];
          matched[row] &= accepted_code[code == kNullCode ? columns_.texts.size() : code];
        }
        break;
      }
      case Kind::kFloat:
        for (std::size_t row = 0; row < size(); ++row) {
          matched[row] &= std::ranges::find(condition.doubles, column.doubles[row]) != condition.doubles.end();
        }
        break;
      default:
        for (std::size_t row = 0; row < size(); ++row) {
          std::int64_t number = column.integers[row];
          matched[row] &= number != kNullInt && std::ranges::find(condition.integers, number) != condition.integers.end();
        }
    }
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
