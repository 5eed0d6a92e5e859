// Lists and numbers read from logs: the rows from a window's start on, or of the last so many microseconds; the newest
// first or, of logs of first events, the oldest first. A number is the field of the first row of that list.
#include <algorithm>
#include <bit>
#include <span>

#include "codec/list_text.hpp"
#include "families/logs/log_cells.hpp"
#include "families/part.hpp"

namespace user_state::reading {

namespace {

class Logs : public Part {
 public:
  explicit Logs(const Program& program) : program_(program), cells_(program) {
    for (const LogList& list : program.log_lists) {
      auto is_list = [&](int column) { return LogCells::is_list(program.logs[list.log][column]); };
      has_lists_ |= std::ranges::any_of(list.columns, is_list);
    }
  }

  void set_time(std::int64_t at_us) override {
    list_since_us_.clear(), number_since_us_.clear();
    for (const LogList& list : program_.log_lists) {
      list_since_us_.push_back(list.within_us ? at_us - *list.within_us : start_s(list.window, at_us) * kSecondUs);
    }
    for (const LoggedOutput& output : program_.logged) {
      number_since_us_.push_back(start_s(output.window, at_us) * kSecondUs);
    }
  }

  void read(Reader in, const Row& row) override {
    cells_.read(in, row.strings);
    if (has_lists_) find_texts(row);
    for (std::size_t at = 0; at < program_.log_lists.size(); ++at) {
      put(program_.log_lists[at], list_since_us_[at], row);
    }
    for (std::size_t at = 0; at < program_.logged.size(); ++at) {
      const LoggedOutput& output = program_.logged[at];
      row.values[output.column] = static_cast<float>(number(output, number_since_us_[at]));
    }
  }

 private:
  /// The first row of a log from a time on.
  std::size_t first_since(std::size_t log, std::int64_t since_us) const {
    auto times_us = cells_.times_us(log);
    if (since_us <= 0) return 0;
    return static_cast<std::size_t>(std::ranges::lower_bound(times_us, since_us) - times_us.begin());
  }

  static std::int64_t null_of(LogKind kind) {
    if (LogCells::is_text(kind)) return kNullText;
    return kind == LogKind::kReal ? std::bit_cast<std::int64_t>(kNullReal) : kNullWhole;
  }

  void put(const LogList& list, std::int64_t since_us, const Row& row) const {
    auto log = static_cast<std::size_t>(list.log);
    std::size_t end = cells_.rows(log), first = first_since(log, since_us), width = static_cast<std::size_t>(list.most);
    std::size_t size = std::min(end - first, width);
    row.out.lengths[list.list][row.at] = static_cast<std::int64_t>(size);
    for (std::size_t at_column = 0; at_column < list.columns.size(); ++at_column) {
      auto column = static_cast<std::size_t>(list.columns[at_column]);
      std::int64_t* to = row.out.grids[list.list][at_column] + row.at * width;
      cells_.see_column(log, column, [&](auto cell, auto is_text) {
        for (std::size_t at = 0; at < size; ++at) {
          auto held = cell(list.first ? first + at : end - 1 - at);
          if constexpr (is_text) {
            to[at] = row.code_of(held);
          } else {
            to[at] = held;
          }
        }
      });
      std::fill(to + size, to + width, null_of(cells_.kind(log, column)));
      if (LogCells::is_list(cells_.kind(log, column))) check_lists(cells_.kind(log, column), {to, size}, row);
    }
  }

  /// Finds out where each string of the record ends among those of the call.
  void find_texts(const Row& row) {
    text_ends_.assign(1, row.first_text);
    auto first = static_cast<std::size_t>(row.first_code);
    for (std::size_t at = 0; at < row.strings; ++at) {
      text_ends_.push_back(text_ends_.back() + row.out.text_lengths[first + at]);
    }
  }

  /// Refuses a text that is no list where there has to be one.
  void check_lists(LogKind kind, std::span<const std::int64_t> codes, const Row& row) const {
    constexpr ListOf kOf[] = {ListOf::kTexts, ListOf::kReals, ListOf::kWholes, ListOf::kBools};
    ListOf of = kOf[static_cast<std::size_t>(kind) - static_cast<std::size_t>(LogKind::kTexts)];
    for (std::int64_t code : codes) {
      if (code == kNullText) continue;
      auto at = static_cast<std::size_t>(code - row.first_code);
      std::string_view text(row.out.texts.data() + text_ends_[at], text_ends_[at + 1] - text_ends_[at]);
      need(is_list_text(text, of), kNoList);
    }
  }

  double number(const LoggedOutput& output, std::int64_t since_us) const {
    auto log = static_cast<std::size_t>(output.log), column = static_cast<std::size_t>(output.log_column);
    std::size_t end = cells_.rows(log), first = first_since(log, since_us);
    if (first == end) return output.empty;
    std::int64_t bits = 0;
    cells_.see_column(log, column, [&](auto cell, auto) {
      bits = static_cast<std::int64_t>(cell(output.first ? first : end - 1));
    });
    return cells_.kind(log, column) == LogKind::kReal ? std::bit_cast<double>(bits) : static_cast<double>(bits);
  }

  const Program& program_;
  std::vector<std::int64_t> list_since_us_, number_since_us_;
  LogCells cells_;
  bool has_lists_ = false;
  /// Of the record that is read: where its first string begins, and where each one ends.
  std::vector<std::size_t> text_ends_;
};

}  // namespace

std::unique_ptr<Part> make_logs(const Program& program) { return std::make_unique<Logs>(program); }

}  // namespace user_state::reading
