#include "events/matching.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "events/events.hpp"

namespace user_state {

namespace {

using Is = Condition::Is;
using Mask = std::vector<std::uint8_t>;

/// Whether the values of a column, by place among them, are accepted.
class Accepted {
 public:
  Accepted(const Condition& condition, const Columns& columns)
      : condition_(condition), column_(columns.fields[condition.field]) {
    if (column_.kind != Kind::kString) return;
    // Of each text once, however many events have it. The last one is a null's.
    of_code_.assign(columns.texts.size() + 1, 0);
    for (std::size_t code = 0; code < columns.texts.size(); ++code) {
      of_code_[code] = std::ranges::find(condition.texts, columns.texts[code]) != condition.texts.end();
    }
  }

  bool operator()(std::size_t place) const {
    switch (column_.kind) {
      case Kind::kString: {
        std::int64_t code = column_.integers[place];
        return of_code_[code == kNullCode ? of_code_.size() - 1 : static_cast<std::size_t>(code)];
      }
      case Kind::kFloat: return std::ranges::find(condition_.doubles, column_.doubles[place]) != condition_.doubles.end();
      default: {
        std::int64_t number = column_.integers[place];
        return number != kNullInt && std::ranges::find(condition_.integers, number) != condition_.integers.end();
      }
    }
  }

 private:
  const Condition& condition_;
  const Columns::Field& column_;
  Mask of_code_;
};

template <class Number>
bool lies(Is is, Number value, Number bound) {
  switch (is) {
    case Is::kLess: return value < bound;
    case Is::kAtMost: return value <= bound;
    case Is::kMore: return value > bound;
    default: return value >= bound;
  }
}

Mask mask_of(const Condition& condition, const Columns& columns, std::size_t size);

Mask joined(const Condition& condition, const Columns& columns, std::size_t size, bool all) {
  Mask mask(size, all);
  for (const Condition& part : condition.parts) {
    Mask more = mask_of(part, columns, size);
    for (std::size_t row = 0; row < size; ++row) mask[row] = all ? mask[row] & more[row] : mask[row] | more[row];
  }
  return mask;
}

Mask mask_of(const Condition& condition, const Columns& columns, std::size_t size) {
  switch (condition.is) {
    case Is::kAll: return joined(condition, columns, size, true);
    case Is::kAny: return joined(condition, columns, size, false);
    case Is::kNot: {
      Mask mask = joined(condition, columns, size, true);
      for (std::uint8_t& one : mask) one ^= 1;
      return mask;
    }
    default: break;
  }
  Mask mask(size);
  const Columns::Field& column = columns.fields[condition.field];
  switch (condition.is) {
    case Is::kOneOf: {
      Accepted accepted(condition, columns);
      for (std::size_t row = 0; row < size; ++row) mask[row] = accepted(row);
      break;
    }
    case Is::kContains: {
      Accepted accepted(condition, columns);
      for (std::size_t row = 0; row < size; ++row) {
        for (std::int64_t at = column.offsets[row]; at < column.offsets[row + 1] && !mask[row]; ++at) {
          mask[row] = accepted(static_cast<std::size_t>(at));
        }
      }
      break;
    }
    case Is::kExists:
      for (std::size_t row = 0; row < size; ++row) mask[row] = column.has(row);
      break;
    default:
      for (std::size_t row = 0; row < size; ++row) {
        // No comparison with a null's NaN holds.
        mask[row] = column.kind == Kind::kFloat
                        ? lies(condition.is, column.doubles[row], condition.doubles.front())
                        : column.has(row) && lies(condition.is, column.integers[row], condition.integers.front());
      }
  }
  return mask;
}

}  // namespace

void match(const Filter& filter, const Columns& columns, std::span<std::uint8_t> matched) {
  for (const Condition& condition : filter.conditions) {
    Mask mask = mask_of(condition, columns, matched.size());
    for (std::size_t row = 0; row < matched.size(); ++row) matched[row] &= mask[row];
  }
}

}  // namespace user_state
