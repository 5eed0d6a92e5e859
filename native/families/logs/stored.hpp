// The logs of one record, where its section has them: what folding and reading have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "families/logs/columns.hpp"

namespace user_state {

class StoredLogs {
 public:
  /// `shapes` are those of the plan's logs.
  explicit StoredLogs(std::vector<LogShape> shapes);

  /// Finds out where each log is, and when its rows were; cells stay where they are.
  void read(Reader in);

  std::size_t rows(std::size_t log) const { return columns_.sizes[log]; }
  /// Where the rows of a log begin among those of all logs.
  std::size_t begin(std::size_t log) const { return begins_[log].row; }
  /// When the rows of all logs were: ascending in each log, those of one time by tie.
  const std::vector<std::int64_t>& times_us() const { return times_us_; }
  std::uint32_t tie(std::size_t row) const { return columns_.ties[row]; }

  /// Where a log's column of strings begins among the cells of all of them; columns are counted by themselves.
  std::size_t first_text(std::size_t log, std::size_t column) const { return begins_[log].text + column * rows(log); }
  std::uint64_t text(std::size_t cell) const { return columns_.texts[cell]; }
  /// Calls `see(texts)`, where `texts(cell)` is what `text(cell)` is; for many of them.
  template <class See>
  void see_texts(See see) const {
    columns_.texts.seen(see);
  }
  /// The greatest number of a string.
  std::uint64_t greatest_text() const;

  /// As for strings, of all other columns but the event time.
  std::size_t first_number(std::size_t log, std::size_t column) const {
    return begins_[log].number + column * rows(log);
  }
  std::int64_t number(std::size_t cell) const { return columns_.numbers[cell]; }

 private:
  struct Begin {
    std::size_t row = 0, text = 0, number = 0;
  };

  std::vector<LogShape> shapes_;
  LogColumns<Stored> columns_;
  std::vector<Begin> begins_;
  std::vector<std::int64_t> times_us_;
};

}  // namespace user_state
