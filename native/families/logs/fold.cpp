// Logs: some of the events that pass a filter, with some of their fields, by (time, tie); the tie is the upper half of
// the event id's hash. What events make of them.
//
// Two logs are joined by putting their rows side by side, in order, and keeping
//
//     last      the last K
//     distinct  of rows with equal values the last, and of those the last K
//     first     the first K of every tile of the log's time axis (families/axes.hpp)
//
// None of which depends on the order in which a set of events was seen: what is dropped has K others that go before it
// in any larger set too. A window begins at the edge of a tile, so its first K are among those of its tiles, and its
// last K, or last K distinct, are the last K of all that lie inside.
#include <algorithm>
#include <bit>
#include <limits>

#include "codec/keyed_hash.hpp"
#include "families/family.hpp"
#include "families/logs/stored.hpp"

namespace user_state {

namespace {

struct Row {
  std::int64_t time_us;
  std::uint32_t tie;
  /// Its place among the log's cells, where it stays while rows are put in order.
  std::uint32_t place;

  bool operator<(const Row& other) const {
    return time_us != other.time_us ? time_us < other.time_us : tie < other.tie;
  }
};

/// Numbers that were met already.
class Met {
 public:
  /// Forgets all of them, and makes room for `most`.
  void clear(std::size_t most) {
    numbers_.clear();
    shift_ = 64 - std::bit_width(2 * most);
    places_.assign(std::size_t{1} << (64 - shift_), 0);
  }

  /// Takes a number in; returns whether it is a new one.
  bool add(std::int64_t number) {
    std::size_t at = hash_(static_cast<std::uint64_t>(number)) >> shift_;
    for (; places_[at] != 0; at = (at + 1) % places_.size()) {
      if (numbers_[places_[at] - 1] == number) return false;
    }
    numbers_.push_back(number);
    places_[at] = static_cast<std::uint32_t>(numbers_.size());
    return true;
  }

 private:
  const KeyedHash hash_;
  std::vector<std::int64_t> numbers_;
  /// Places in `numbers_` from 1, 0 where there is none, by hash.
  std::vector<std::uint32_t> places_;
  int shift_ = 0;
};

/// One log of one record: rows by (time, tie), and a cell for each of their fields: a code of a string, the bits of a
/// float, an integer.
class LogRows {
 public:
  LogRows(const Plan& plan, std::size_t index) : plan_(plan), log_(plan.logs[index]), index_(static_cast<int>(index)) {
    for (int field : log_.fields) kinds_.push_back(plan.fields[field]);
    for (std::size_t column = 0; column < width(); ++column) {
      if (log_.is_time[column]) continue;
      (kinds_[column] == Kind::kString ? texts : numbers).push_back(column);
    }
    if (!log_.required) return;
    value_ = static_cast<std::size_t>(std::ranges::find(log_.fields, *log_.required) - log_.fields.begin());
  }

  /// Which columns hold strings, and which other things than the row's own time.
  std::vector<std::size_t> texts, numbers;
  std::vector<Row> rows;

  std::int64_t& cell(const Row& row, std::size_t column) { return cells_[row.place * width() + column]; }
  std::int64_t cell(const Row& row, std::size_t column) const { return cells_[row.place * width() + column]; }

  LogShape shape() const { return {texts.size(), numbers.size()}; }

  /// Takes over the rows of a section, of which this is log `log`.
  void read(const StoredLogs& stored, const Strings& strings) {
    auto log = static_cast<std::size_t>(index_);
    std::size_t first = stored.begin(log);
    begin(stored.rows(log));
    for (std::size_t at = 0; at < rows.size(); ++at) {
      rows[at].time_us = stored.times_us()[first + at];
      rows[at].tie = stored.tie(first + at);
    }
    for (std::size_t column = 0; column < texts.size(); ++column) {
      std::size_t from = stored.first_text(log, column);
      for (const Row& row : rows) cell(row, texts[column]) = strings.code_of_number(stored.text(from++));
    }
    for (std::size_t column = 0; column < numbers.size(); ++column) {
      std::size_t from = stored.first_number(log, column);
      for (const Row& row : rows) cell(row, numbers[column]) = stored.number(from++);
    }
    repeat_times();
  }

  /// Takes a row of every event that the log wants.
  void lift(const Arrivals& arrivals, Strings& strings) {
    const Events& events = arrivals.events;
    std::size_t before = rows.size();
    for (std::uint32_t event : arrivals.rows) {
      if (!takes(log_, events, event)) continue;
      add(events.time_us(event), static_cast<std::uint32_t>(events.id_hash(event) >> 32));
      for (std::size_t column = 0; column < width(); ++column) {
        int field = log_.fields[column];
        if (log_.is_time[column]) {
          cells_.push_back(events.time_us(event));
          continue;
        }
        switch (events.kind(field)) {
          case Kind::kString: cells_.push_back(strings.code_of_batch(events.integer(field, event))); break;
          case Kind::kFloat: cells_.push_back(std::bit_cast<std::int64_t>(events.real(field, event))); break;
          default: cells_.push_back(events.integer(field, event));
        }
      }
    }
    put_in_order(before);
  }

  /// Takes the rows of another log, field by field: what that does not have is null.
  void absorb(const LogRows& other) {
    std::size_t before = rows.size();
    std::vector<std::size_t> columns_of_other;
    for (std::size_t column = 0; column < width(); ++column) {
      columns_of_other.push_back(other.column_of(log_.names[column], kinds_[column]));
    }
    for (const Row& row : other.rows) {
      add(row.time_us, row.tie);
      for (std::size_t column = 0; column < width(); ++column) {
        std::size_t from = columns_of_other[column];
        std::int64_t value = from == kNone ? null_of(kinds_[column]) : other.cell(row, from);
        cells_.push_back(log_.is_time[column] ? row.time_us : value);
      }
    }
    put_in_order(before);
  }

  /// Leaves out what no output reads any more.
  void forget(std::int64_t clock_us, const TrackAxes& axes, Met& met) {
    if (log_.reach_us) {
      std::int64_t oldest_us = clock_us - plan_.max_clock_skew_us - *log_.reach_us;
      auto out_of_reach = [&](const Row& row) { return row.time_us < oldest_us; };
      rows.erase(rows.begin(), std::partition_point(rows.begin(), rows.end(), out_of_reach));
    }
    switch (log_.keeps) {
      case Log::Keeps::kFirst: return keep_first_of_tiles(axes);
      case Log::Keeps::kDistinct: return keep_distinct(met);
      case Log::Keeps::kLast:
        if (rows.size() > cap()) rows.erase(rows.begin(), rows.end() - log_.cap);
    }
  }

 private:
  /// Said of a column that is not there.
  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  std::size_t width() const { return kinds_.size(); }

  /// Adds a row, whose cells are to follow; before any row is left out.
  void add(std::int64_t time_us, std::uint32_t tie) {
    rows.push_back({time_us, tie, static_cast<std::uint32_t>(rows.size())});
  }

  /// Makes so many rows, of which nothing is known but their place.
  void begin(std::size_t size) {
    rows.resize(size);
    for (std::size_t at = 0; at < size; ++at) rows[at].place = static_cast<std::uint32_t>(at);
    cells_.resize(size * width());
  }

  /// Takes in what rows say of their time twice.
  void repeat_times() {
    for (std::size_t column = 0; column < width(); ++column) {
      if (!log_.is_time[column]) continue;
      for (const Row& row : rows) cell(row, column) = row.time_us;
    }
  }

  /// Which column holds a field, kNone if none does.
  std::size_t column_of(const std::string& name, Kind kind) const {
    for (std::size_t column = 0; column < width(); ++column) {
      if (log_.names[column] == name && kinds_[column] == kind) return column;
    }
    return kNone;
  }

  static std::int64_t null_of(Kind kind) {
    if (kind == Kind::kString) return kNullCode;
    if (kind == Kind::kFloat) return std::bit_cast<std::int64_t>(std::numeric_limits<double>::quiet_NaN());
    return kNullInt;
  }

  std::size_t cap() const { return static_cast<std::size_t>(log_.cap); }

  /// Sorts rows, of which those that were stored are in order; equal ones stay as they came.
  void put_in_order(std::size_t stored) {
    auto arrived = rows.begin() + static_cast<std::ptrdiff_t>(stored);
    if (arrived == rows.end()) return;
    if (!std::is_sorted(arrived, rows.end())) std::stable_sort(arrived, rows.end());
    auto from = std::upper_bound(rows.begin(), arrived, *arrived);
    if (from != arrived) std::inplace_merge(from, arrived, rows.end());
  }

  /// Rows of one tile stand together: tiles ascend with time.
  void keep_first_of_tiles(const TrackAxes& axes) {
    std::size_t kept = 0, older = 0;
    std::int64_t tile = TrackAxes::kDropped;
    for (const Row& row : rows) {
      std::int64_t start_s = axes.place(index_, row.time_us / 1'000'000);
      older = start_s == tile ? older + 1 : 0;
      tile = start_s;
      if (tile != TrackAxes::kDropped && older < cap()) rows[kept++] = row;
    }
    rows.resize(kept);
  }

  /// Goes from the newest row to older ones until it has enough that differ.
  void keep_distinct(Met& met) {
    met.clear(std::min(cap(), rows.size()));
    std::size_t dropped = rows.size(), left = cap();
    for (std::size_t at = rows.size(); at > 0 && left > 0; --at) {
      if (!met.add(value(rows[at - 1]))) continue;
      rows[--dropped] = rows[at - 1];
      --left;
    }
    rows.erase(rows.begin(), rows.begin() + static_cast<std::ptrdiff_t>(dropped));
  }

  /// Adding 0.0 makes one zero of two.
  std::int64_t value(const Row& row) const {
    std::int64_t held = cell(row, value_);
    if (kinds_[value_] != Kind::kFloat) return held;
    return std::bit_cast<std::int64_t>(std::bit_cast<double>(held) + 0.0);
  }

  const Plan& plan_;
  const Log& log_;
  int index_;
  std::vector<Kind> kinds_;
  /// The column whose values are told apart.
  std::size_t value_ = 0;
  /// As many for each row as there are columns, by place.
  std::vector<std::int64_t> cells_;
};

class Logs : public Family {
 public:
  explicit Logs(const Plan& plan) : axes_(plan.log_axes) {
    for (std::size_t log = 0; log < plan.logs.size(); ++log) logs_.emplace_back(plan, log);
    for (const LogRows& log : logs_) shapes_.push_back(log.shape());
    stored_ = StoredLogs(shapes_);
  }

  void read(Reader in, const Strings& strings) override {
    stored_.read(in);
    for (LogRows& log : logs_) log.read(stored_, strings);
  }

  void fold(const Arrivals& arrivals, Strings& strings) override {
    for (LogRows& log : logs_) log.lift(arrivals, strings);
    forget(arrivals.clock_us);
  }

  void absorb(const Family& family, std::span<const int> becomes, std::int64_t clock_us, Strings&) override {
    const auto& other = static_cast<const Logs&>(family);
    for (std::size_t log = 0; log < other.logs_.size(); ++log) {
      if (becomes[log] != kGone) logs_[becomes[log]].absorb(other.logs_[log]);
    }
    forget(clock_us);
  }

  void use(Strings& strings) const override {
    for (const LogRows& log : logs_) {
      for (std::size_t column : log.texts) {
        for (const Row& row : log.rows) strings.use(log.cell(row, column));
      }
    }
  }

  void write(Writer& out, const Strings& strings) const override {
    fresh_.newest_us = 0;
    fresh_.sizes.clear(), fresh_.ages_us.clear(), fresh_.ties.clear(), fresh_.texts.clear(), fresh_.numbers.clear();
    for (const LogRows& log : logs_) {
      need(log.rows.size() <= std::numeric_limits<std::uint16_t>::max(), "a log has too many rows");
      fresh_.sizes.push_back(static_cast<std::uint16_t>(log.rows.size()));
      if (!log.rows.empty()) fresh_.newest_us = std::max(fresh_.newest_us, log.rows.back().time_us);
    }
    for (const LogRows& log : logs_) {
      append(fresh_.ages_us, log.rows, [&](const Row& row) { return fresh_.newest_us - row.time_us; });
      append(fresh_.ties, log.rows, [](const Row& row) { return row.tie; });
      for (std::size_t column : log.texts) {
        append(fresh_.texts, log.rows, [&](const Row& row) { return strings.number(log.cell(row, column)); });
      }
      for (std::size_t column : log.numbers) {
        append(fresh_.numbers, log.rows, [&](const Row& row) { return log.cell(row, column); });
      }
    }
    fresh_.flags = fresh_.ages_us.flags() | fresh_.texts.flags();
    write_columns(out, fresh_, shapes_);
  }

 private:
  void forget(std::int64_t clock_us) {
    axes_.set_clock(clock_us);
    for (LogRows& log : logs_) log.forget(clock_us, axes_, met_);
  }

  TrackAxes axes_;
  std::vector<LogRows> logs_;
  std::vector<LogShape> shapes_;
  StoredLogs stored_{{}};
  Met met_;
  /// Reused record after record.
  mutable LogColumns<Fresh> fresh_;
};

}  // namespace

std::unique_ptr<Family> make_logs(const Plan& plan) { return std::make_unique<Logs>(plan); }

}  // namespace user_state
