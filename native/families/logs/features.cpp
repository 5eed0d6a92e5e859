// Lists and numbers read from logs: the rows from a window's start on, or of the last so many microseconds; the newest
// first or, of logs of first events, the oldest first. A number is the field of the first row of that list.
#include <algorithm>
#include <bit>

#include "families/logs/log_cells.hpp"
#include "families/part.hpp"

namespace user_state::reading {

namespace {

class Logs : public Part {
 public:
  explicit Logs(const Program& program) : program_(program), cells_(program) {}

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
    if (kind == LogKind::kText) return kNullText;
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
};

}  // namespace

std::unique_ptr<Part> make_logs(const Program& program) { return std::make_unique<Logs>(program); }

}  // namespace user_state::reading
