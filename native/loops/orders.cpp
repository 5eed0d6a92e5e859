#include "loops/orders.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <numeric>
#include <utility>

namespace user_state {

namespace {

constexpr int kWordBits = 64;
/// Of fewer rows, counting digits costs more than comparing.
constexpr std::size_t kFew = 64;
/// From so many rows on, passes cost more than counting longer digits.
constexpr std::size_t kMany = 2048;
/// Of fewer rows, counting those that go before costs less than sorting.
constexpr std::size_t kShort = 24;
/// A number is not rounded to fewer bits than this, so that rounding makes few equal.
constexpr int kNumberBits = 20;

template <class Word>
struct Row {
  Word word;
  Word row;
};

/// Sorts by the lowest `bits` of words, which have no others: by digits, the lowest first. Stable.
template <class Word>
void sort(std::vector<Row<Word>>& rows, int bits) {
  auto by_word = [](const Row<Word>& a, const Row<Word>& b) { return a.word < b.word; };
  if (std::is_sorted(rows.begin(), rows.end(), by_word)) return;
  if (rows.size() < kFew) return std::stable_sort(rows.begin(), rows.end(), by_word);
  int longest = rows.size() < kMany ? 8 : 11;
  int digits = (bits + longest - 1) / longest, length = (bits + digits - 1) / digits;
  std::size_t values = std::size_t{1} << length;
  std::vector<std::uint32_t> places(digits * values);
  for (const Row<Word>& row : rows) {
    for (int digit = 0; digit < digits; ++digit) {
      ++places[digit * values + (row.word >> (digit * length) & (values - 1))];
    }
  }
  std::vector<Row<Word>> other(rows.size());
  for (int digit = 0; digit < digits; ++digit) {
    std::uint32_t* begins = places.data() + digit * values;
    std::uint32_t begin = 0;
    for (std::size_t value = 0; value < values; ++value) begin += std::exchange(begins[value], begin);
    for (const Row<Word>& row : rows) other[begins[row.word >> (digit * length) & (values - 1)]++] = row;
    rows.swap(other);
  }
}

struct Range {
  std::uint64_t least;
  int bits;
};

template <class Number>
Range range_of(std::span<const Number> numbers) {
  Number least = numbers[0], greatest = numbers[0];
  for (Number number : numbers) {
    least = std::min(least, number);
    greatest = std::max(greatest, number);
  }
  // As unsigned numbers they wrap around to their distance.
  auto from = static_cast<std::uint64_t>(least);
  return {from, static_cast<int>(std::bit_width(static_cast<std::uint64_t>(greatest) - from))};
}

/// Returns a whole number that orders as the number does; one for both zeros.
std::uint64_t ordinal_of(double number) {
  auto bits = std::bit_cast<std::uint64_t>(number + 0.0);
  constexpr std::uint64_t sign = std::uint64_t{1} << 63;
  return bits & sign ? ~bits : bits | sign;
}

/// Sorts rows that are in some order already by columns that fit one word.
template <class Word>
void sort_by(std::span<const Column> columns, std::span<const Range> ranges, int bits, std::vector<Row<Word>>& rows) {
  for (Row<Word>& row : rows) row.word = 0;
  int shift = bits;
  for (std::size_t at = 0; at < columns.size(); ++at) {
    shift -= ranges[at].bits;
    if (ranges[at].bits == 0) continue;
    for (Row<Word>& row : rows) {
      row.word |= static_cast<Word>(static_cast<std::uint64_t>(columns[at][row.row]) - ranges[at].least) << shift;
    }
  }
  sort(rows, bits);
}

template <class Word>
std::vector<Row<Word>> unsorted(std::size_t count) {
  std::vector<Row<Word>> rows(count);
  for (std::size_t at = 0; at < count; ++at) rows[at].row = static_cast<Word>(at);
  return rows;
}

/// Takes rows over, and where a row differs from the one before.
template <class Word, class Differ>
Order order_of(const std::vector<Row<Word>>& rows, Differ differ) {
  Order order;
  order.rows.resize(rows.size());
  for (std::size_t at = 0; at < rows.size(); ++at) {
    order.rows[at] = static_cast<std::int64_t>(rows[at].row);
    if (at == 0 || differ(at)) order.heads.push_back(static_cast<std::int64_t>(at));
  }
  return order;
}

template <class Word>
Order order_by_word(std::span<const Column> columns, std::span<const Range> ranges, int bits) {
  auto rows = unsorted<Word>(columns[0].size());
  sort_by(columns, ranges, bits, rows);
  return order_of(rows, [&](std::size_t at) { return rows[at].word != rows[at - 1].word; });
}

/// Orders rows by columns that do not fit one word: word by word, the last columns first.
Order order_by_words(std::span<const Column> columns, std::span<const Range> ranges) {
  auto rows = unsorted<std::uint64_t>(columns[0].size());
  for (std::size_t begin = columns.size(), end = begin; end > 0; end = begin) {
    int bits = 0;
    while (begin > 0 && bits + ranges[begin - 1].bits <= kWordBits) bits += ranges[--begin].bits;
    sort_by(columns.subspan(begin, end - begin), ranges.subspan(begin, end - begin), bits, rows);
  }
  return order_of(rows, [&](std::size_t at) {
    return std::any_of(columns.begin(), columns.end(),
                       [&](Column column) { return column[rows[at].row] != column[rows[at - 1].row]; });
  });
}

/// Orders by group and number, of which the lowest bits are left out where the two do not fit `bits`.
template <class Word>
std::vector<std::int64_t> order_roughly(Column group, const Range& groups, std::span<const std::uint64_t> ordinals,
                                        const Range& numbers, int bits) {
  int left_out = std::max(0, groups.bits + numbers.bits - bits), shift = numbers.bits - left_out;
  std::vector<Row<Word>> rows(group.size());
  for (std::size_t at = 0; at < rows.size(); ++at) {
    std::uint64_t high = static_cast<std::uint64_t>(group[at]) - groups.least;
    // A shift by all 64 bits would be none; there is one group then.
    high = shift < kWordBits ? high << shift : 0;
    rows[at] = {static_cast<Word>(high | (ordinals[at] - numbers.least) >> left_out), static_cast<Word>(at)};
  }
  sort(rows, groups.bits + shift);
  // What rounding made equal is compared.
  auto by_number = [&](const Row<Word>& a, const Row<Word>& b) { return ordinals[a.row] < ordinals[b.row]; };
  for (std::size_t begin = 0, end = 0; left_out && begin < rows.size(); begin = end) {
    bool ascending = true;
    for (end = begin + 1; end < rows.size() && rows[end].word == rows[begin].word; ++end) {
      ascending = ascending && !by_number(rows[end], rows[end - 1]);
    }
    auto at = [&](std::size_t place) { return rows.begin() + static_cast<std::ptrdiff_t>(place); };
    if (!ascending) std::stable_sort(at(begin), at(end), by_number);
  }
  std::vector<std::int64_t> order(rows.size());
  std::transform(rows.begin(), rows.end(), order.begin(), [](const Row<Word>& row) { return row.row; });
  return order;
}

}  // namespace

Order order_rows(std::span<const Column> columns) {
  if (columns[0].empty()) return {};
  std::vector<Range> ranges;
  int bits = 0;
  for (Column column : columns) {
    ranges.push_back(range_of(column));
    bits += ranges.back().bits;
  }
  if (bits > kWordBits) return order_by_words(columns, ranges);
  return bits > 32 ? order_by_word<std::uint64_t>(columns, ranges, bits)
                   : order_by_word<std::uint32_t>(columns, ranges, bits);
}

std::vector<std::int64_t> order_by_number(Column group, std::span<const double> numbers) {
  if (group.empty()) return {};
  std::vector<std::uint64_t> ordinals(numbers.size());
  std::transform(numbers.begin(), numbers.end(), ordinals.begin(), ordinal_of);
  std::span<const std::uint64_t> of_number(ordinals);
  Range groups = range_of(group), range = range_of(of_number);
  if (groups.bits + std::min(range.bits, kNumberBits) > 32) {
    return order_roughly<std::uint64_t>(group, groups, of_number, range, kWordBits);
  }
  return order_roughly<std::uint32_t>(group, groups, of_number, range, 32);
}

Heaviest heaviest(Column list, Column weight, Column most) {
  Heaviest found;
  std::vector<std::int64_t> rows;
  for (std::size_t begin = 0, end = 0; begin < list.size(); begin = end) {
    while (end < list.size() && list[end] == list[begin]) ++end;
    rows.resize(end - begin);
    if (rows.size() <= kShort) {
      // Each row's place is how many go before it: nothing that a processor would have to guess.
      for (std::size_t row = begin; row < end; ++row) {
        std::size_t place = 0;
        for (std::size_t other = begin; other < row; ++other) place += weight[other] >= weight[row];
        for (std::size_t other = row + 1; other < end; ++other) place += weight[other] > weight[row];
        rows[place] = static_cast<std::int64_t>(row);
      }
    } else {
      std::iota(rows.begin(), rows.end(), begin);
      std::stable_sort(rows.begin(), rows.end(), [&](std::int64_t a, std::int64_t b) { return weight[a] > weight[b]; });
    }
    auto kept = std::min(static_cast<std::int64_t>(rows.size()), most[list[begin]]);
    for (std::int64_t place = 0; place < kept; ++place) {
      found.rows.push_back(rows[place]);
      found.places.push_back(place);
    }
  }
  return found;
}

}  // namespace user_state
