// The cells of a record's logs, by the kinds of their columns: what reading lists and handing out histories share.
#pragma once

#include <algorithm>
#include <span>
#include <type_traits>
#include <vector>

#include "families/logs/stored.hpp"
#include "record/program.hpp"

namespace user_state::reading {

class LogCells {
 public:
  /// `program` has the kinds of each log's columns, and has to outlive this.
  explicit LogCells(const Program& program)
      : kinds_(program.logs), time_unit_us_(program.time_unit_us), stored_(shapes_of(program.logs)) {}

  /// Takes a section in, of a record with so many strings. Throws Corrupt.
  void read(Reader in, std::size_t strings) {
    stored_.read(in);
    need(stored_.greatest_text() <= strings, "a string that the dictionary does not have");
  }

  LogKind kind(std::size_t log, std::size_t column) const { return kinds_[log][column]; }
  /// How many rows a log has; they are counted from 0, the oldest.
  std::size_t rows(std::size_t log) const { return stored_.rows(log); }
  std::span<const std::int64_t> times_us(std::size_t log) const {
    return std::span(stored_.times_us()).subspan(stored_.begin(log), rows(log));
  }
  std::uint32_t tie(std::size_t log, std::size_t row) const { return stored_.tie(stored_.begin(log) + row); }

  /// Calls `see(cell, is_text)`, where `cell(row)` is the number of a string in the record's dictionary, 0 for a null,
  /// or the bits of a number, or a time in the unit of the event field; `is_text` is std::true_type or std::false_type.
  template <class See>
  void see_column(std::size_t log, std::size_t column, See see) const {
    auto before = std::span(kinds_[log]).first(column);
    if (kind(log, column) == LogKind::kTime) {
      see([times_us = times_us(log), unit_us = time_unit_us_](std::size_t row) { return times_us[row] / unit_us; },
          std::false_type{});
    } else if (kind(log, column) == LogKind::kText) {
      std::size_t first = stored_.first_text(log, static_cast<std::size_t>(std::ranges::count_if(before, is_text)));
      stored_.see_texts([&](auto texts) {
        see([texts, first](std::size_t row) { return texts(first + row); }, std::true_type{});
      });
    } else {
      std::size_t first = stored_.first_number(log, static_cast<std::size_t>(std::ranges::count_if(before, is_number)));
      see([this, first](std::size_t row) { return stored_.number(first + row); }, std::false_type{});
    }
  }

 private:
  static bool is_text(LogKind kind) { return kind == LogKind::kText; }
  static bool is_number(LogKind kind) { return kind == LogKind::kReal || kind == LogKind::kWhole; }

  static std::vector<LogShape> shapes_of(const std::vector<std::vector<LogKind>>& logs) {
    std::vector<LogShape> shapes;
    for (const auto& kinds : logs) {
      auto texts = static_cast<std::size_t>(std::ranges::count_if(kinds, is_text));
      shapes.push_back({texts, static_cast<std::size_t>(std::ranges::count_if(kinds, is_number))});
    }
    return shapes;
  }

  const std::vector<std::vector<LogKind>>& kinds_;
  const std::int64_t time_unit_us_;
  StoredLogs stored_;
};

}  // namespace user_state::reading
