// Keyed decays: user_state/core/keyed_decays.py says what they are, codec/keyed_decays.py their bytes.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "families/family.hpp"
#include "families/keyed/keyed_rows.hpp"
#include "families/keyed/stored_keys.hpp"

namespace user_state {

namespace {

/// Below this a key, or a rest, is dropped.
constexpr double kForgotten = 1e-290;

std::vector<std::vector<int>> fields_of(const Plan& plan) {
  std::vector<std::vector<int>> by;
  for (const KeyedDecay& decay : plan.keyed_decays) by.push_back(decay.by);
  return by;
}

class KeyedDecays : public Family {
 public:
  using Row = KeyedRow<double>;
  using Group = KeyedGroup<double>;

  explicit KeyedDecays(const Plan& plan) : plan_(plan), keys_(plan, fields_of(plan)), stored_(keys_), fresh_(keys_) {
    for (const KeyedDecay& decay : plan.keyed_decays) most_keys_.push_back(decay.most_keys);
    factors_.resize(keys_.tracks());
  }

  void read(Reader in, const Strings& strings) override {
    groups_.clear(), fresh_.clear();
    rows_.rows.clear();
    times_us_.assign(keys_.tracks(), 0);
    if (in.left() == 0) return;
    std::size_t tracks = 0;
    auto widths = read_tracks(in, tracks);
    stored_.read(in, widths[kTexts], widths[kNumbers], groups_, strings);
    for (std::size_t at = 0; at < tracks; ++at) {
      auto time_us = in.take<std::int64_t>();
      need(time_us > 0 && time_us < kTooLarge);
      times_us_[columns_[kTracks][at]] = time_us;
    }
    auto weights = in.packed<double>(groups_.back().at + groups_.back().keys);
    // All rows fade, so all are taken apart.
    for (const Group& group : groups_) {
      for (std::size_t row = 0; row < group.keys; ++row) {
        double weight = weights[group.at + row];
        need(weight > 0);
        rows_.rows.push_back({{0, group.track}, false, stored_.key(group, row), weight, 0.0});
      }
      if (group.rest == 0) continue;
      auto rest = in.take<double>();
      need(rest > 0);
      rows_.rows.push_back({{0, group.track}, true, {}, rest, 0.0});
    }
    in.end();
  }

  void fold(const Arrivals& arrivals, Strings& strings) override {
    rows_.arrived.clear();
    for (std::size_t track = 0; track < keys_.tracks(); ++track) arrive(track, arrivals, strings);
    take_in_arrived(strings);
  }

  void absorb(const Family& other, std::span<const int> becomes, std::int64_t, Strings& strings) override {
    const auto& from = static_cast<const KeyedDecays&>(other);
    rows_.arrived.clear();
    std::ranges::fill(factors_, 1.0);
    // What rows of the other one are to be multiplied by.
    std::vector<double> joining(becomes.size());
    for (std::size_t theirs = 0; theirs < becomes.size(); ++theirs) {
      if (becomes[theirs] == kGone) continue;
      auto track = static_cast<std::size_t>(becomes[theirs]);
      std::int64_t time_us = std::max(times_us_[track], from.times_us_[theirs]);
      factors_[track] = fading(track, times_us_[track], time_us);
      joining[theirs] = fading(track, from.times_us_[theirs], time_us);
      times_us_[track] = time_us;
    }
    for (Row row : from.rows_.rows) {
      auto theirs = static_cast<std::size_t>(row.track);
      if (becomes[theirs] == kGone) continue;
      if (!row.rest) row.key = from.keys_.recoded(row.track, row.key, strings);
      row.track = becomes[theirs];
      row.weight *= joining[theirs];
      rows_.arrived.push_back(row);
    }
    take_in_arrived(strings);
  }

  void use(Strings& strings) const override { stored_.use(fresh_.parts, strings); }

  void write(Writer& out, const Strings& strings) const override {
    for (NarrowColumn& column : columns_) column.clear();
    std::size_t tracks = put_tracks();
    if (tracks == 0) return;
    const std::uint8_t texts = stored_.text_width(fresh_.parts, strings), numbers = stored_.other_width(fresh_.parts);
    out.put(static_cast<std::uint16_t>(tracks));
    for (const NarrowColumn& column : columns_) out.put(column.width());
    out.put(texts), out.put(numbers);
    for (const NarrowColumn& column : columns_) column.write(out);
    stored_.put_texts(out, texts, fresh_.parts, strings);
    stored_.put_others(out, numbers, fresh_.parts);
    for (std::int64_t time_us : times_us_) {
      if (time_us > 0) out.put(time_us);
    }
    out.column<double>(fresh_.weights, [](double weight) { return weight; });
    for (const Group& group : groups_) {
      if (group.rest > 0) out.put(group.rest);
    }
  }

 private:
  enum Column { kTracks, kKeys, kRests, kTexts, kNumbers };
  using Widths = std::array<std::uint8_t, 5>;

  /// Reads which tracks there are; returns the widths of all columns.
  Widths read_tracks(Reader& in, std::size_t& tracks) {
    std::size_t left = in.left(), rows = 0;
    tracks = in.take<std::uint16_t>();
    auto widths = in.take<Widths>();
    need(tracks > 0);
    for (int column = kTracks; column <= kRests; ++column) columns_[column].read(in, widths[column], tracks);
    for (std::size_t at = 0; at < tracks; ++at) {
      std::uint64_t track = columns_[kTracks][at], keys = columns_[kKeys][at], rests = columns_[kRests][at];
      need(track < keys_.tracks() && (at == 0 || track > columns_[kTracks][at - 1]));
      need(keys <= kMostKeys && keys <= left && rests <= 1);
      left -= keys;
      // Any weight but 0 says that there is a rest; which one it is, comes last.
      Group& added = groups_.emplace_back();
      static_cast<GroupName&>(added) = {0, static_cast<int>(track)};
      added.at = static_cast<std::uint32_t>(rows);
      added.keys = static_cast<std::uint32_t>(keys);
      added.rest = static_cast<double>(rests);
      rows += keys;
    }
    return widths;
  }

  /// Adds a row of its own for every event that a track wants, moves the track's reference time to the newest of them,
  /// and brings the rows there; what stored rows are to be multiplied by goes to `factors_`.
  void arrive(std::size_t track, const Arrivals& arrivals, Strings& strings) {
    const KeyedDecay& decay = plan_.keyed_decays[track];
    const Events& events = arrivals.events;
    std::int64_t newest_us = 0;
    times_us_of_arrived_.clear();
    std::size_t begin = rows_.arrived.size();
    for (std::uint32_t row : arrivals.rows) {
      if (!events.matches(decay.filter, row)) continue;
      double weight = events.weight(decay.weights, row);
      Key key;
      if (!(weight > 0) || !keys_.lift(track, events, row, strings, key)) continue;
      // A reference time of 0 stands for none.
      need(events.time_us(row) > 0);
      newest_us = std::max(newest_us, events.time_us(row));
      times_us_of_arrived_.push_back(events.time_us(row));
      rows_.arrived.push_back({{0, static_cast<int>(track)}, false, key, weight, 0.0});
    }
    std::int64_t time_us = std::max(times_us_[track], newest_us);
    factors_[track] = fading(track, times_us_[track], time_us);
    // In two steps, as they are lifted first and then joined.
    double joining = fading(track, newest_us, time_us);
    for (std::size_t at = begin; at < rows_.arrived.size(); ++at) {
      rows_.arrived[at].weight *= fading(track, times_us_of_arrived_[at - begin], newest_us);
      rows_.arrived[at].weight *= joining;
    }
    times_us_[track] = time_us;
  }

  /// What a weight of a track is to be multiplied by to be seen at a later time.
  double fading(std::size_t track, std::int64_t from_us, std::int64_t to_us) const {
    return std::exp2(static_cast<double>(from_us - to_us) / static_cast<double>(plan_.keyed_decays[track].half_life_us));
  }

  /// Adds up what there is, which is multiplied by `factors_`, and what arrived.
  void take_in_arrived(const Strings& strings) {
    for (Row& row : rows_.rows) row.weight *= factors_[row.track];
    rows_.add_up(keys_, strings, true);
    std::erase_if(rows_.rows, [](const Row& row) { return !(row.weight >= kForgotten); });
    rows_.cut(most_keys_);
    groups_.clear();
    fresh_.put(rows_.rows, groups_);
    stored_.lay_out(groups_);
  }

  /// Fills the columns of tracks, and returns how many of those there are.
  std::size_t put_tracks() const {
    std::size_t tracks = 0;
    auto group = groups_.begin();
    for (std::size_t track = 0; track < times_us_.size(); ++track) {
      if (times_us_[track] == 0) continue;
      bool some = group != groups_.end() && static_cast<std::size_t>(group->track) == track;
      ++tracks;
      columns_[kTracks].add(track);
      columns_[kKeys].add(some ? group->keys : 0);
      columns_[kRests].add(some && group->rest > 0);
      if (some) ++group;
    }
    need(tracks <= std::numeric_limits<std::uint16_t>::max());
    return tracks;
  }

  const Plan& plan_;
  KeyColumns keys_;
  std::vector<std::int64_t> most_keys_;
  /// The tracks' reference times, 0 where there is nothing.
  std::vector<std::int64_t> times_us_;
  std::vector<Group> groups_;
  /// What the section has, and what comes to be written.
  StoredKeys stored_;
  KeyedTable<double> fresh_;
  /// Of one fold: all rows, which fade.
  KeyedRows<double> rows_;
  std::vector<std::int64_t> times_us_of_arrived_;
  std::vector<double> factors_;
  /// What is in them matters only while a section is read or written.
  mutable std::array<NarrowColumn, kTexts> columns_;
};

}  // namespace

std::unique_ptr<Family> make_keyed_decays(const Plan& plan) { return std::make_unique<KeyedDecays>(plan); }

}  // namespace user_state
