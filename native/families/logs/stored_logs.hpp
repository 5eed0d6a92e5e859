// The logs of a record as they lie in its section: user_state/core/histories.py says what rows are.
#pragma once

#include <cstdint>
#include <vector>

#include "codec/bytes.hpp"
#include "record/program.hpp"

namespace user_state::reading {

/// Looks at the rows of all logs of one record, where they are; times are made up from ages.
class StoredLogs {
 public:
  /// `kinds` are those of each log's columns, and have to outlive this.
  explicit StoredLogs(const std::vector<std::vector<LogKind>>& kinds)
      : kinds_(kinds), sizes_(kinds.size()), begins_(kinds.size()), texts_(kinds.size()), numbers_(kinds.size()) {}

  /// Takes a section in, of a record with so many strings. Throws Corrupt.
  void take(Reader in, std::size_t strings) {
    auto flags = in.take<std::uint8_t>();
    need(flags <= (kFarTimes | kHighCodes | kWideCodes), "invalid flags");
    auto sizes = in.packed<std::uint16_t>(kinds_.size());
    auto newest_us = in.take<std::int64_t>();
    need(newest_us >= 0 && newest_us < kTooLarge, "a time out of range");
    std::size_t rows = 0, texts = 0, numbers = 0;
    for (std::size_t log = 0; log < kinds_.size(); ++log) {
      sizes_[log] = sizes[log];
      begins_[log] = rows, texts_[log] = texts, numbers_[log] = numbers;
      rows += sizes_[log];
      texts += sizes_[log] * count(log, kinds_[log].size(), true);
      numbers += sizes_[log] * count(log, kinds_[log].size(), false);
    }
    take_times(in, flags, rows, newest_us);
    low_ = in.packed<std::uint8_t>(texts);
    high_ = in.packed<std::uint8_t>(flags & kHighCodes ? texts : 0);
    wide_ = in.packed<std::uint16_t>(flags & kWideCodes ? texts : 0);
    cells_ = in.packed<std::int64_t>(numbers);
    in.end();
    for (std::size_t at = 0; at < texts; ++at) need(text_at(at) <= strings, "a string that the dictionary does not have");
  }

  std::size_t size(std::size_t log) const { return sizes_[log]; }
  std::int64_t time_us(std::size_t log, std::size_t row) const { return times_us_[begins_[log] + row]; }
  std::uint32_t tie(std::size_t log, std::size_t row) const { return ties_[begins_[log] + row]; }

  /// Calls `put` with the cell of each row of a column: the number of a string in the record's dictionary, 0 for a null;
  /// or the bits of a number, or a time.
  template <class Put>
  void each_cell(std::size_t log, std::size_t column, Put put) const {
    LogKind kind = kinds_[log][column];
    if (kind == LogKind::kTime) {
      for (std::size_t row = 0; row < sizes_[log]; ++row) put(time_us(log, row));
    } else if (kind == LogKind::kText) {
      std::size_t begin = texts_[log] + sizes_[log] * count(log, column, true);
      for (std::size_t row = 0; row < sizes_[log]; ++row) put(static_cast<std::int64_t>(text_at(begin + row)));
    } else {
      std::size_t begin = numbers_[log] + sizes_[log] * count(log, column, false);
      for (std::size_t row = 0; row < sizes_[log]; ++row) put(cells_[begin + row]);
    }
  }

 private:
  static constexpr std::uint8_t kFarTimes = 1, kHighCodes = 2, kWideCodes = 4;

  /// How many of a log's first columns are of strings, or of numbers.
  std::size_t count(std::size_t log, std::size_t columns, bool texts) const {
    std::size_t counted = 0;
    for (std::size_t column = 0; column < columns; ++column) {
      LogKind kind = kinds_[log][column];
      counted += texts ? kind == LogKind::kText : kind == LogKind::kReal || kind == LogKind::kWhole;
    }
    return counted;
  }

  std::uint64_t text_at(std::size_t at) const {
    std::uint64_t number = low_[at];
    if (!high_.empty()) number |= std::uint64_t{high_[at]} << 8;
    if (!wide_.empty()) number |= std::uint64_t{wide_[at]} << 16;
    return number;
  }

  void take_times(Reader& in, std::uint8_t flags, std::size_t rows, std::int64_t newest_us) {
    auto low = in.packed<std::uint32_t>(rows);
    auto high = in.packed<std::uint16_t>(rows);
    auto top = in.packed<std::uint16_t>(flags & kFarTimes ? rows : 0);
    ties_ = in.packed<std::uint32_t>(rows);
    times_us_.resize(rows);
    for (std::size_t at = 0; at < rows; ++at) {
      std::uint64_t age_us = low[at] | std::uint64_t{high[at]} << 32;
      if (flags & kFarTimes) age_us |= std::uint64_t{top[at]} << 48;
      need(age_us <= static_cast<std::uint64_t>(newest_us), "a time before 1970");
      times_us_[at] = newest_us - static_cast<std::int64_t>(age_us);
    }
    for (std::size_t log = 0; log < sizes_.size(); ++log) {
      for (std::size_t row = 1; row < sizes_[log]; ++row) {
        std::int64_t before_us = time_us(log, row - 1), now_us = time_us(log, row);
        bool after = now_us > before_us || (now_us == before_us && tie(log, row) >= tie(log, row - 1));
        need(after, "rows that are not in order of time");
      }
    }
  }

  const std::vector<std::vector<LogKind>>& kinds_;
  /// By log: how many rows it has, and where they, their strings and their numbers begin among those of all logs.
  std::vector<std::size_t> sizes_, begins_, texts_, numbers_;
  std::vector<std::int64_t> times_us_;
  Packed<std::uint32_t> ties_;
  Packed<std::uint8_t> low_, high_;
  Packed<std::uint16_t> wide_;
  Packed<std::int64_t> cells_;
};

}  // namespace user_state::reading
