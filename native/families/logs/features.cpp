// Lists and numbers read from logs.
#include <algorithm>
#include <bit>
#include <span>

#include "families/logs/stored.hpp"
#include "families/part.hpp"

namespace user_state::reading {

namespace {

/// Whether a column lies among those of other things than strings.
bool is_number(LogKind kind) { return kind == LogKind::kReal || kind == LogKind::kWhole; }

class Logs : public Part {
 public:
  explicit Logs(const Program& program) : program_(program), held_(shapes_of(program)) {}

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
    held_.read(in);
    need(held_.greatest_text() <= row.strings, "a string's number is not in the dictionary");
    for (std::size_t at = 0; at < program_.log_lists.size(); ++at) {
      put(program_.log_lists[at], list_since_us_[at], row);
    }
    for (std::size_t at = 0; at < program_.logged.size(); ++at) {
      const LoggedOutput& output = program_.logged[at];
      row.values[output.column] = static_cast<float>(number(output, number_since_us_[at]));
    }
  }

 private:
  static std::vector<LogShape> shapes_of(const Program& program) {
    std::vector<LogShape> shapes;
    for (const auto& kinds : program.logs) {
      auto texts = static_cast<std::size_t>(std::ranges::count(kinds, LogKind::kText));
      shapes.push_back({texts, static_cast<std::size_t>(std::ranges::count_if(kinds, is_number))});
    }
    return shapes;
  }

  /// The first row of a log from a time on.
  std::size_t first_since(std::size_t log, std::int64_t since_us) const {
    if (since_us <= 0) return held_.begin(log);
    auto begin = held_.times_us().begin() + static_cast<std::ptrdiff_t>(held_.begin(log));
    auto end = begin + static_cast<std::ptrdiff_t>(held_.rows(log));
    return static_cast<std::size_t>(std::lower_bound(begin, end, since_us) - held_.times_us().begin());
  }

  /// How far the cells of a column are from its rows among those of all logs.
  std::size_t shift_of(std::size_t log, std::size_t column) const {
    const auto& kinds = program_.logs[log];
    auto before = std::span(kinds).first(column);
    if (kinds[column] == LogKind::kText) {
      auto place = static_cast<std::size_t>(std::ranges::count(before, LogKind::kText));
      return held_.first_text(log, place) - held_.begin(log);
    }
    auto place = static_cast<std::size_t>(std::ranges::count_if(before, is_number));
    return held_.first_number(log, place) - held_.begin(log);
  }

  void put(const LogList& list, std::int64_t since_us, const Row& row) const {
    auto log = static_cast<std::size_t>(list.log);
    std::size_t end = held_.begin(log) + held_.rows(log), first = first_since(log, since_us);
    auto width = static_cast<std::size_t>(list.most);
    std::size_t size = std::min(end - first, width);
    row.out.lengths[list.list][row.at] = static_cast<std::int64_t>(size);
    for (std::size_t at_column = 0; at_column < list.columns.size(); ++at_column) {
      auto column = static_cast<std::size_t>(list.columns[at_column]);
      std::int64_t* to = row.out.grids[list.list][at_column] + row.at * width;
      auto fill = [&](auto cell_of, std::int64_t null) {
        for (std::size_t at = 0; at < size; ++at) to[at] = cell_of(list.first ? first + at : end - 1 - at);
        std::fill(to + size, to + width, null);
      };
      LogKind kind = program_.logs[log][column];
      if (kind == LogKind::kTime) {
        fill([&](std::size_t at) { return held_.times_us()[at]; }, kNullWhole);
        continue;
      }
      std::size_t shift = shift_of(log, column);
      if (kind == LogKind::kText) {
        fill([&](std::size_t at) { return row.code_of(held_.text(shift + at)); }, kNullText);
      } else {
        fill([&](std::size_t at) { return held_.number(shift + at); },
             kind == LogKind::kReal ? std::bit_cast<std::int64_t>(kNullReal) : kNullWhole);
      }
    }
  }

  double number(const LoggedOutput& output, std::int64_t since_us) const {
    auto log = static_cast<std::size_t>(output.log), column = static_cast<std::size_t>(output.log_column);
    std::size_t end = held_.begin(log) + held_.rows(log), first = first_since(log, since_us);
    if (first == end) return output.empty;
    std::size_t at = output.first ? first : end - 1;
    LogKind kind = program_.logs[log][column];
    if (kind == LogKind::kTime) return static_cast<double>(held_.times_us()[at]);
    std::int64_t bits = held_.number(shift_of(log, column) + at);
    return kind == LogKind::kReal ? std::bit_cast<double>(bits) : static_cast<double>(bits);
  }

  const Program& program_;
  std::vector<std::int64_t> list_since_us_, number_since_us_;
  StoredLogs held_;
};

}  // namespace

std::unique_ptr<Part> make_logs(const Program& program) { return std::make_unique<Logs>(program); }

}  // namespace user_state::reading
