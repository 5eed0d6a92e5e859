// Lists and numbers read from logs: user_state/core/logs.py says what they are, codec/logs.py has the bytes.
#include <bit>

#include "families/part.hpp"

namespace user_state::reading {

namespace {

constexpr std::uint8_t kFarTimes = 1, kTextsOfTwoBytes = 2, kTextsOfFourBytes = 4, kAllFlags = 7;

/// Codes of texts, of one byte, two or four: their bytes lie in up to three columns.
class TextCodes {
 public:
  TextCodes() = default;
  TextCodes(Reader& in, std::uint8_t flags, std::size_t size)
      : first_(in.packed<std::uint8_t>(size)),
        second_(in.packed<std::uint8_t>(flags & kTextsOfTwoBytes ? size : 0)),
        upper_(in.packed<std::uint16_t>(flags & kTextsOfFourBytes ? size : 0)),
        has_second_(flags & kTextsOfTwoBytes),
        has_upper_(flags & kTextsOfFourBytes) {}

  std::uint64_t operator[](std::size_t at) const {
    std::uint64_t code = first_[at];
    if (has_second_) code |= std::uint64_t{second_[at]} << 8;
    if (has_upper_) code |= std::uint64_t{upper_[at]} << 16;
    return code;
  }

 private:
  Packed<std::uint8_t> first_, second_;
  Packed<std::uint16_t> upper_;
  bool has_second_ = false, has_upper_ = false;
};

bool is_number(LogKind kind) { return kind == LogKind::kReal || kind == LogKind::kWhole; }

class Logs : public Part {
 public:
  explicit Logs(const Program& program) : program_(program), sizes_(program.logs.size()) {
    begins_ = first_text_ = first_number_ = sizes_;
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
    take(in, row.strings);
    for (std::size_t at = 0; at < program_.log_lists.size(); ++at) {
      put(program_.log_lists[at], list_since_us_[at], row);
    }
    for (std::size_t at = 0; at < program_.logged.size(); ++at) {
      const LoggedOutput& output = program_.logged[at];
      row.values[output.column] = static_cast<float>(number(output, number_since_us_[at]));
    }
  }

 private:
  void take(Reader& in, std::size_t strings) {
    auto flags = in.take<std::uint8_t>();
    need(flags <= kAllFlags);
    auto sizes = in.packed<std::uint16_t>(sizes_.size());
    auto newest_us = in.take<std::int64_t>();
    need(newest_us >= 0 && newest_us < kTooLarge);
    std::size_t rows = 0, texts = 0, numbers = 0;
    for (std::size_t log = 0; log < sizes_.size(); ++log) {
      sizes_[log] = sizes[log];
      begins_[log] = rows, first_text_[log] = texts, first_number_[log] = numbers;
      rows += sizes_[log];
      for (LogKind kind : program_.logs[log]) {
        if (kind == LogKind::kText) texts += sizes_[log];
        if (is_number(kind)) numbers += sizes_[log];
      }
    }
    take_times(in, flags, rows, newest_us);
    texts_ = TextCodes(in, flags, texts);
    numbers_ = in.packed<std::int64_t>(numbers);
    in.end();
    std::uint64_t greatest = 0;
    for (std::size_t at = 0; at < texts; ++at) greatest = std::max(greatest, texts_[at]);
    need(greatest <= strings);
  }

  void take_times(Reader& in, std::uint8_t flags, std::size_t rows, std::int64_t newest_us) {
    auto low = in.packed<std::uint32_t>(rows);
    auto high = in.packed<std::uint16_t>(rows);
    auto top = in.packed<std::uint16_t>(flags & kFarTimes ? rows : 0);
    auto ties = in.packed<std::uint32_t>(rows);
    times_us_.resize(rows);
    for (std::size_t at = 0; at < rows; ++at) {
      std::uint64_t age_us = low[at] | std::uint64_t{high[at]} << 32;
      if (flags & kFarTimes) age_us |= std::uint64_t{top[at]} << 48;
      need(age_us <= static_cast<std::uint64_t>(newest_us));
      times_us_[at] = newest_us - static_cast<std::int64_t>(age_us);
    }
    for (std::size_t log = 0; log < sizes_.size(); ++log) {
      for (std::size_t at = begins_[log] + 1; at < begins_[log] + sizes_[log]; ++at) {
        std::int64_t before_us = times_us_[at - 1];
        need(times_us_[at] > before_us || (times_us_[at] == before_us && ties[at] >= ties[at - 1]));
      }
    }
  }

  /// The first row of a log from a time on.
  std::size_t first_since(int log, std::int64_t since_us) const {
    auto begin = times_us_.begin() + static_cast<std::ptrdiff_t>(begins_[log]);
    if (since_us <= 0) return begins_[log];
    auto end = begin + static_cast<std::ptrdiff_t>(sizes_[log]);
    return static_cast<std::size_t>(std::lower_bound(begin, end, since_us) - times_us_.begin());
  }

  /// Where a column of a log begins among the texts, or the numbers.
  std::size_t begin_of(int log, int column) const {
    bool text = program_.logs[log][column] == LogKind::kText;
    std::size_t begin = text ? first_text_[log] : first_number_[log];
    for (int before = 0; before < column; ++before) {
      LogKind kind = program_.logs[log][before];
      if (text ? kind == LogKind::kText : is_number(kind)) begin += sizes_[log];
    }
    return begin;
  }

  void put(const LogList& list, std::int64_t since_us, const Row& row) const {
    std::size_t end = begins_[list.log] + sizes_[list.log], first = first_since(list.log, since_us);
    auto width = static_cast<std::size_t>(list.most);
    std::size_t held = std::min(end - first, width);
    row.out.lengths[list.list][row.at] = static_cast<std::int64_t>(held);
    for (std::size_t column = 0; column < list.columns.size(); ++column) {
      LogKind kind = program_.logs[list.log][list.columns[column]];
      std::int64_t* to = row.out.grids[list.list][column] + row.at * width;
      auto fill = [&](auto cell_of) {
        for (std::size_t at = 0; at < held; ++at) to[at] = cell_of(list.first ? first + at : end - 1 - at);
      };
      // From rows of all logs to places in this column.
      std::size_t shift = kind == LogKind::kTime ? 0 : begin_of(list.log, list.columns[column]) - begins_[list.log];
      std::int64_t null = kNullWhole;
      if (kind == LogKind::kTime) {
        fill([&](std::size_t at) { return times_us_[at]; });
      } else if (kind == LogKind::kText) {
        fill([&](std::size_t at) { return row.code_of(texts_[shift + at]); });
        null = kNullText;
      } else {
        fill([&](std::size_t at) { return numbers_[shift + at]; });
        if (kind == LogKind::kReal) null = std::bit_cast<std::int64_t>(kNullReal);
      }
      std::fill(to + held, to + width, null);
    }
  }

  double number(const LoggedOutput& output, std::int64_t since_us) const {
    std::size_t end = begins_[output.log] + sizes_[output.log], first = first_since(output.log, since_us);
    if (first == end) return output.empty;
    std::size_t at = output.first ? first : end - 1;
    LogKind kind = program_.logs[output.log][output.log_column];
    if (kind == LogKind::kTime) return static_cast<double>(times_us_[at]);
    std::int64_t bits = numbers_[begin_of(output.log, output.log_column) + at - begins_[output.log]];
    return kind == LogKind::kReal ? std::bit_cast<double>(bits) : static_cast<double>(bits);
  }

  const Program& program_;
  std::vector<std::int64_t> list_since_us_, number_since_us_;
  /// By log: how many rows it has, which the first one is, and where its texts and numbers begin.
  std::vector<std::size_t> sizes_, begins_, first_text_, first_number_;
  std::vector<std::int64_t> times_us_;
  TextCodes texts_;
  Packed<std::int64_t> numbers_;
};

}  // namespace

std::unique_ptr<Part> make_logs(const Program& program) { return std::make_unique<Logs>(program); }

}  // namespace user_state::reading
