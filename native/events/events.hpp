// A batch of decoded events as columns (user_state/state/events.py), and which of them each filter wants.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include "codec/bytes.hpp"
#include "events/by_user.hpp"
#include "plan.hpp"

namespace user_state {

constexpr std::int64_t kNullInt = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kNullCode = -1;

/// m events of n users as they lie in memory, in order of arrival.
struct Columns {
  struct Field {
    Kind kind;
    /// Of a float field doubles, of others integers, those of strings being codes.
    const std::int64_t* integers = nullptr;
    const double* doubles = nullptr;
    /// Of a field that is a list, m + 1 places: an event's values are those from its own to the next.
    const std::int64_t* offsets = nullptr;

    /// Whether an event's value is not null; of a list, whether it has one.
    bool has(std::size_t row) const {
      if (offsets != nullptr) return offsets[row] < offsets[row + 1];
      switch (kind) {
        case Kind::kString: return integers[row] != kNullCode;
        case Kind::kFloat: return !std::isnan(doubles[row]);
        default: return integers[row] != kNullInt;
      }
    }
  };

  std::size_t users = 0;
  std::span<const std::int64_t> user, time_us, published_us;
  std::span<const std::uint64_t> id_hash;
  std::vector<Field> fields;
  /// What string codes stand for.
  std::vector<std::string_view> texts;
};

class Events {
 public:
  /// Looks at columns, which have to outlive this.
  Events(const Plan& plan, const Columns& columns);

  std::size_t size() const { return columns_.user.size(); }
  std::size_t users() const { return by_user_.users(); }
  /// The rows of one user, in order of arrival.
  std::span<const std::uint32_t> rows_of(std::size_t user) const { return by_user_.rows_of(user); }

  std::int64_t time_us(std::uint32_t row) const { return columns_.time_us[row]; }
  std::int64_t second(std::uint32_t row) const { return floor_div(columns_.time_us[row], kSecondUs); }
  std::int64_t published_us(std::uint32_t row) const { return columns_.published_us[row]; }
  std::uint64_t id_hash(std::uint32_t row) const { return columns_.id_hash[row]; }

  /// Whether a filter of the plan accepts the event.
  bool matches(int filter, std::uint32_t row) const { return matched_[filter * size() + row]; }
  /// Whether a field is not null; of a list, whether it has a value.
  bool has(int field, std::uint32_t row) const { return columns_.fields[field].has(row); }
  Kind kind(int field) const { return columns_.fields[field].kind; }
  bool is_list(int field) const { return columns_.fields[field].offsets != nullptr; }
  /// The values of a field that is a list, of a kind that is no float.
  std::span<const std::int64_t> integers(int field, std::uint32_t row) const {
    const Columns::Field& column = columns_.fields[field];
    return {column.integers + column.offsets[row], column.integers + column.offsets[row + 1]};
  }
  /// A field's value: of a string its code in the batch, see `text`.
  std::int64_t integer(int field, std::uint32_t row) const { return columns_.fields[field].integers[row]; }
  /// A float field's value.
  double real(int field, std::uint32_t row) const { return columns_.fields[field].doubles[row]; }
  /// A numeric field's value as a double.
  double number(int field, std::uint32_t row) const {
    const Columns::Field& column = columns_.fields[field];
    return column.kind == Kind::kFloat ? column.doubles[row] : static_cast<double>(column.integers[row]);
  }

  std::size_t texts() const { return columns_.texts.size(); }
  /// A string of the batch, by code from 0.
  std::string_view text(std::int64_t code) const { return columns_.texts[code]; }
  /// xxh64, seed 0, of a string of the batch.
  std::uint64_t text_hash(std::int64_t code) const;
  double weight(const Weights& weights, std::uint32_t row) const;

 private:
  const Columns& columns_;
  const ByUser by_user_;
  mutable std::vector<std::uint64_t> hashes_;
  mutable std::vector<std::uint8_t> hashed_;
  std::vector<std::uint8_t> matched_;
};

/// What arrived for one user.
struct Arrivals {
  const Events& events;
  std::span<const std::uint32_t> rows;
  /// The user's clock from now on: the greatest publish time of all applied events.
  std::int64_t clock_us;
  /// The user's horizon from now on: no event before it is ever folded again.
  std::int64_t horizon_us;

  /// Whether any of them passes the filter of any of these pieces of a plan.
  template <class Pieces>
  bool any_wanted(const Pieces& pieces) const {
    for (const auto& piece : pieces) {
      for (std::uint32_t row : rows) {
        if (events.matches(piece.filter, row)) return true;
      }
    }
    return false;
  }
};

}  // namespace user_state
