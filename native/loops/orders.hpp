// Orders of rows: by columns of whole numbers, by group and number, by list and weight. All are stable.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace user_state {

using Column = std::span<const std::int64_t>;

/// Rows in order: which ones, and where runs of equal ones begin in it.
struct Order {
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> heads;
};

/// Orders rows by the first column, equal ones by the second, and so on. All columns are as long as the first,
/// fewer than 2^32 rows.
Order order_rows(std::span<const Column> columns);

/// Returns rows by group and number, in order.
std::vector<std::int64_t> order_by_number(Column group, std::span<const double> numbers);

/// The rows that lists begin with.
struct Heaviest {
  std::vector<std::int64_t> rows;
  std::vector<std::int64_t> places;  // of each in its list, from 0 on
};

/// Returns of each list the `most[list]` heaviest rows, list by list; of equal ones the first. Lists ascend, and each
/// is an index into `most`.
Heaviest heaviest(Column list, Column weight, Column most);

}  // namespace user_state
