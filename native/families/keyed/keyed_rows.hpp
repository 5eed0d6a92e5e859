// Numbers by key, in groups that hold a bounded number of keys each: what keyed tiles and keyed decays are made of.
//
// A row is (group, key) -> weight, and a sum if an output needs one. A group is what is bounded: a tile of a track, or
// a decayed track. A key has up to three parts: strings, integers or bools.
//
// A group that would hold more than K keys is **cut** by the mergeable Misra-Gries rule: the (K+1)-th largest weight is
// taken from every key's, and keys of which nothing is left are dropped. What was taken goes to the group's **rest**, a
// row of its own, so that a group's total stays exact. A cut by s takes s from K+1 keys at least, so the rest grows by
// (K+1) s at least: a key's weight is never too large, and too small by at most
//
//     rest / (K+1)  <=  total / (K+1)
//
// however many cuts and joins there were. A key's sum shrinks in the proportion of its weight. Two groups are joined by
// adding up equal keys and both rests, and cutting. A group that never had more than K keys is exact, and a function of
// the set of events; of others that bound holds in any order, but what is kept may depend on it.
//
// How sections hold keys: stored_keys.hpp.
//
// Source: Agarwal, Cormode, Huang, Phillips, Wei, Yi, "Mergeable Summaries", PODS 2012, section 3.1; Misra, Gries,
// "Finding repeated elements", 1982.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "codec/bytes.hpp"
#include "codec/strings.hpp"
#include "events/events.hpp"
#include "families/keyed/shapes.hpp"
#include "families/sums.hpp"
#include "plan.hpp"

namespace user_state {

/// Of strings codes, of other columns folded numbers; 0 in columns that a track's keys do not have, and in rests.
using Key = std::array<std::uint64_t, kMostKeyColumns>;

/// The fields that the keys of each track consist of.
template <class Track>
std::vector<std::vector<int>> fields_of(const std::vector<Track>& tracks) {
  std::vector<std::vector<int>> by;
  for (const Track& track : tracks) by.push_back(track.by);
  return by;
}

/// Rows are of a group: of a tile of a track, or of a decayed track, for which the start is 0.
struct GroupName {
  std::int64_t start_s;
  int track;

  bool same_group(const GroupName& other) const { return start_s == other.start_s && track == other.track; }
  bool group_before(const GroupName& other) const {
    return start_s != other.start_s ? start_s < other.start_s : track < other.track;
  }
};

template <class Weight>
struct KeyedRow : GroupName {
  /// Whether it is what keys that are no longer there left behind; a group has it last.
  bool rest;
  Key key;
  Weight weight;
  double sum;

  bool same_place(const KeyedRow& other) const {
    return same_group(other) && rest == other.rest && key == other.key;
  }
};

/// A group: keys and what they come to lie in a section, or in a table.
template <class Weight>
struct KeyedGroup : GroupName {
  /// Which rows of the section, or of the table, are its keys'.
  std::uint32_t at = 0, keys = 0;
  /// What its rest comes to; there is none if the weight is 0.
  Weight rest = 0;
  double rest_sum = 0;

  /// Whether it is as the section has it: what follows is known of such only (stored_keys.hpp).
  bool stored = false;
  /// Where each part of its keys begins in the section's column of strings' numbers, or of others.
  std::array<std::uint32_t, kMostKeyColumns> places{};
  /// The greatest number of a string in its keys.
  std::uint32_t greatest_text = 0;
};

/// Visits the rows of groups that `wants` is true of, by whether they are stored and from a row on so many: those that
/// lie side by side in one piece. `place` says where a group's rows begin.
template <class Groups, class Wants, class Place, class Visit>
void each_piece(const Groups& groups, Wants wants, Place place, Visit visit) {
  bool stored = false;
  std::size_t begin = 0, end = 0;
  for (const auto& group : groups) {
    if (!wants(group)) continue;
    std::size_t at = place(group);
    if (at != end || group.stored != stored) {
      if (end > begin) visit(stored, begin, end - begin);
      stored = group.stored;
      begin = at;
    }
    end = at + group.keys;
  }
  if (end > begin) visit(stored, begin, end - begin);
}

/// Parts of the keys of a table's rows: all first parts, all second and all third ones, as far as any track has those.
using KeyParts = std::array<std::vector<std::uint64_t>, kMostKeyColumns>;

/// The keys of each track, as events have them.
class KeyColumns : public KeyShapes {
 public:
  /// `by` has the fields of each track's keys.
  KeyColumns(const Plan& plan, std::vector<std::vector<int>> by);

  /// Calls `take` with each key of an event that the track takes: one, or one for each value of a field that is a list.
  template <class Take>
  void each_key(std::size_t track, const Events& events, std::uint32_t row, Strings& strings, Take take) const {
    Key key{};
    std::optional<std::size_t> list;
    for (std::size_t column = 0; column < by_[track].size(); ++column) {
      int field = by_[track][column];
      if (events.is_list(field)) {
        list = column;
      } else {
        key[column] = part_of(track, column, events.integer(field, row), strings);
      }
    }
    if (!list) return take(key);
    for (std::int64_t value : events.integers(by_[track][*list], row)) {
      key[*list] = part_of(track, *list, value, strings);
      take(key);
    }
  }

  /// Whether a key's numbers are written before those of another key of its track.
  bool before(int track, const Key& a, const Key& b, const Strings& strings) const;

  /// The key that a key of the record which was read last, taken as it lies in the section, has among `strings`.
  Key recoded(int track, Key key, const Strings& strings) const {
    for (std::size_t column = 0; column < parts_of(track); ++column) {
      // Codes in a section are numbers less one.
      if (holds(track, column, true)) key[column] = static_cast<std::uint64_t>(strings.code_of_number(key[column] + 1));
    }
    return key;
  }

 private:
  std::uint64_t part_of(std::size_t track, std::size_t column, std::int64_t value, Strings& strings) const {
    if (!holds(static_cast<int>(track), column, true)) return folded(value);
    return static_cast<std::uint64_t>(strings.code_of_batch(value));
  }
  static std::int64_t code_of(std::uint64_t part) { return static_cast<std::int64_t>(part); }

  std::vector<std::vector<int>> by_;
};

/// What the keys of groups that were made anew come to, column by column.
template <class Weight>
class KeyedTable {
 public:
  using Row = KeyedRow<Weight>;

  explicit KeyedTable(const KeyColumns& columns) : height_(columns.height()) {}

  KeyParts parts;
  std::vector<Weight> weights;
  std::vector<double> sums;

  void clear() {
    for (std::size_t column = 0; column < height_; ++column) parts[column].clear();
    weights.clear();
    sums.clear();
  }

  /// Takes in rows, group by group; what groups they make is appended to `made`.
  template <class Group>
  void put(const std::vector<Row>& rows, std::vector<Group>& made) {
    for (const Row& row : rows) {
      if (made.empty() || !made.back().same_group(row)) {
        Group& added = made.emplace_back();
        static_cast<GroupName&>(added) = row;
        added.at = static_cast<std::uint32_t>(weights.size());
      }
      Group& group = made.back();
      if (row.rest) {
        group.rest = row.weight;
        group.rest_sum = row.sum;
        continue;
      }
      ++group.keys;
      for (std::size_t column = 0; column < height_; ++column) parts[column].push_back(row.key[column]);
      weights.push_back(row.weight);
      sums.push_back(row.sum);
    }
  }

 private:
  std::size_t height_;
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
      for (const Row& row : of.subspan(1)) need((whole.weight += row.weight) < kTooLarge);
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
