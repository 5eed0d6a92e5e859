// Numbers by key, in groups that hold a bounded number of keys each: user_state/core/keyed_rows.py says what they are,
// codec/keys.py how sections hold keys.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "bytes.hpp"
#include "events.hpp"
#include "plan.hpp"
#include "strings.hpp"
#include "sums.hpp"

namespace user_state {

constexpr std::size_t kMostKeyColumns = 3;
constexpr std::uint64_t kMostKeys = 1 << 14;

/// Of strings codes, of other columns folded numbers; 0 in columns that a track's keys do not have, and in rests.
using Key = std::array<std::uint64_t, kMostKeyColumns>;

/// Rows are of a group: of a tile of a track, or of a decayed track, for which the start is 0.
template <class Weight>
struct KeyedRow {
  std::int64_t start_s;
  int track;
  /// Whether it is what keys that are no longer there left behind; a group has it last.
  bool rest;
  Key key;
  Weight weight;
  double sum;

  bool same_group(const KeyedRow& other) const { return start_s == other.start_s && track == other.track; }
  bool group_before(const KeyedRow& other) const {
    return start_s != other.start_s ? start_s < other.start_s : track < other.track;
  }
  bool same_place(const KeyedRow& other) const {
    return same_group(other) && rest == other.rest && key == other.key;
  }
};

/// A narrow column of a section (codec/narrow.py), on its way in or out.
class NarrowColumn {
 public:
  void clear() {
    numbers_.clear();
    bits_ = 0;
  }
  void add(std::uint64_t number) {
    numbers_.push_back(number);
    bits_ |= number;
  }
  std::uint8_t width() const { return Writer::width_of(bits_); }
  void write(Writer& out) const {
    out.narrow(width(), numbers_, [](std::uint64_t number) { return number; });
  }

  void read(Reader& in, std::uint8_t width, std::size_t size) {
    numbers_.clear();
    in.narrow(width, size, numbers_);
  }
  std::uint64_t operator[](std::size_t at) const { return numbers_[at]; }

 private:
  std::vector<std::uint64_t> numbers_;
  /// Those that any number has, of which the largest needs as many bytes as all together.
  std::uint64_t bits_ = 0;
};

/// The columns of each track's keys.
class KeyColumns {
 public:
  /// `by` has the fields of each track's keys.
  KeyColumns(const Plan& plan, std::vector<std::vector<int>> by);

  std::size_t tracks() const { return by_.size(); }

  /// Sets an event's key, unless one of its fields is null: returns whether it has one.
  bool lift(std::size_t track, const Events& events, std::uint32_t row, Strings& strings, Key& key) const;

  /// Whether a key's numbers are written before those of another key of its track.
  bool before(int track, const Key& a, const Key& b, const Strings& strings) const;

  /// Reads the keys of all rows but rests, which are in groups as they were written.
  template <class Row>
  void read(Reader& in, std::uint8_t text_width, std::uint8_t other_width, std::vector<Row>& rows,
            const Strings& strings) {
    read_some(in, true, text_width, rows, [&](std::uint64_t number) {
      need(number > 0);
      return static_cast<std::uint64_t>(strings.code_of_number(number));
    });
    read_some(in, false, other_width, rows, [](std::uint64_t number) {
      need(number != folded(kNullInt));
      return number;
    });
    for (std::size_t at = 1; at < rows.size(); ++at) {
      // Codes of what was just read ascend as the numbers of the strings do.
      need(rows[at].rest || !rows[at].same_group(rows[at - 1]) || rows[at - 1].key < rows[at].key);
    }
  }

  /// Puts the numbers of all rows but rests into a column of strings and one of others, in the order they have.
  template <class Row>
  void put(const std::vector<Row>& rows, const Strings& strings, NarrowColumn& texts, NarrowColumn& others) const {
    each(rows, true, [&](const Row& row, std::size_t column) { texts.add(strings.number(code_of(row.key[column]))); });
    each(rows, false, [&](const Row& row, std::size_t column) { others.add(row.key[column]); });
  }

  template <class Row>
  void use(const std::vector<Row>& rows, Strings& strings) const {
    each(rows, true, [&](const Row& row, std::size_t column) { strings.use(code_of(row.key[column])); });
  }

 private:
  static std::int64_t code_of(std::uint64_t part) { return static_cast<std::int64_t>(part); }

  bool holds(std::size_t track, std::size_t column, bool text) const {
    return column < by_[track].size() && is_text_[track][column] == text;
  }

  /// Visits columns of one kind: all first fields, row by row, then all second ones, then all third ones.
  template <class Rows, class Visit>
  void each(Rows& rows, bool text, Visit visit) const {
    for (std::size_t column = 0; column < kMostKeyColumns; ++column) {
      if (!any_[text][column]) continue;
      for (auto& row : rows) {
        if (!row.rest && holds(row.track, column, text)) visit(row, column);
      }
    }
  }

  template <class Row, class Part>
  void read_some(Reader& in, bool text, std::uint8_t width, std::vector<Row>& rows, Part part) {
    std::size_t size = 0, next = 0;
    each(rows, text, [&](const Row&, std::size_t) { ++size; });
    read_.read(in, width, size);
    each(rows, text, [&](Row& row, std::size_t column) { row.key[column] = part(read_[next++]); });
  }

  std::vector<std::vector<int>> by_;
  std::vector<std::array<bool, kMostKeyColumns>> is_text_;
  /// By whether it is of strings: whether any track has that column.
  std::array<std::array<bool, kMostKeyColumns>, 2> any_{};
  NarrowColumn read_;
};

/// One record's rows by group, and within it by key as it is written; and those that arrived, in no order yet.
template <class Weight>
class KeyedRows {
 public:
  using Row = KeyedRow<Weight>;

  std::vector<Row> rows, arrived;

  /// Takes in what arrived and adds up rows of one group and key. `in_order` says whether the rows themselves are.
  void add_up(const KeyColumns& columns, const Strings& strings, bool in_order) {
    auto before = [&](const Row& a, const Row& b) {
      if (!a.same_group(b)) return a.group_before(b);
      if (a.rest || b.rest) return b.rest && !a.rest;
      return a.key != b.key && columns.before(a.track, a.key, b.key, strings);
    };
    if (!in_order) std::stable_sort(rows.begin(), rows.end(), before);
    std::stable_sort(arrived.begin(), arrived.end(), before);
    if (!arrived.empty()) {
      merged_.resize(rows.size() + arrived.size());
      std::merge(rows.begin(), rows.end(), arrived.begin(), arrived.end(), merged_.begin(), before);
      rows.swap(merged_);
      arrived.clear();
    }
    std::size_t joined = 0;
    for (std::size_t begin = 0, end; begin < rows.size(); begin = end) {
      for (end = begin + 1; end < rows.size() && rows[end].same_place(rows[begin]);) ++end;
      if (end == begin + 1) {
        move(begin, joined++);
      } else {
        rows[joined++] = join({&rows[begin], end - begin});
      }
    }
    rows.resize(joined);
  }

  /// Cuts groups, which were added up, to as many keys as their track may have.
  void cut(const std::vector<std::int64_t>& most_of_track) {
    std::size_t kept = 0;
    for (std::size_t begin = 0, end; begin < rows.size(); begin = end) {
      for (end = begin + 1; end < rows.size() && rows[end].same_group(rows[begin]);) ++end;
      std::size_t keys = end - begin - rows[end - 1].rest;
      auto most = static_cast<std::size_t>(most_of_track[rows[begin].track]);
      if (keys > most) {
        kept = cut_group(begin, end, keys, most, kept);
      } else {
        for (std::size_t at = begin; at < end; ++at) move(at, kept++);
      }
    }
    rows.resize(kept);
  }

 private:
  /// Counts that are added stay below this, and so do not overflow.
  static constexpr std::int64_t kMostCount = std::int64_t{1} << 62;

  void move(std::size_t from, std::size_t to) {
    if (from != to) rows[to] = rows[from];
  }

  /// Returns the row of all these, which are of one place.
  static Row join(std::span<const Row> of) {
    Row whole = of.front();
    whole.sum = reduced(of.size(), [&](std::size_t at) { return of[at].sum; });
    if constexpr (std::floating_point<Weight>) {
      whole.weight = reduced(of.size(), [&](std::size_t at) { return of[at].weight; });
    } else {
      for (const Row& row : of.subspan(1)) need((whole.weight += row.weight) < kMostCount);
    }
    return whole;
  }

  /// Moves what is left of a group to `kept`, and returns where it ends there.
  ///
  /// The order of equally heavy keys is of no matter: what is taken from all is the weight of the heaviest that goes,
  /// of which nothing is left then, nor of any that is as heavy.
  std::size_t cut_group(std::size_t begin, std::size_t end, std::size_t keys, std::size_t most, std::size_t kept) {
    weights_.clear();
    for (std::size_t at = begin; at < begin + keys; ++at) weights_.push_back(rows[at].weight);
    std::ranges::nth_element(weights_, weights_.begin() + static_cast<std::ptrdiff_t>(most), std::greater<>());
    const Weight less = weights_[most];
    // The rest that is there already comes first, if there is one.
    taken_.assign(&rows[begin] + keys, &rows[begin] + (end - begin));
    for (std::size_t at = begin; at < begin + keys; ++at) {
      Row row = rows[at], taken = row;
      taken.rest = true;
      taken.key = {};
      row.weight -= less;
      if (row.weight > 0) {
        row.sum *= static_cast<double>(row.weight) / static_cast<double>(taken.weight);
        taken.weight = less;
        taken.sum -= row.sum;
        rows[kept++] = row;
      }
      taken_.push_back(taken);
    }
    rows[kept++] = join(taken_);
    return kept;
  }

  std::vector<Row> merged_, taken_;
  std::vector<Weight> weights_;
};

}  // namespace user_state
