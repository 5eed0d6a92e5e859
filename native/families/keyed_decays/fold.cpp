// Keyed decays: counts by key that decay, at one half-life a track. What events make of them.
//
//     C(key) = sum over events of the key of w 2^-((T - t)/H), as of a time T, that of the track's newest event
//
// w is 1, or the event's weight, which is above 0. How two are joined, why order does not matter, and the source:
// families/decaying.hpp. A later T scales all keys of a track alike, so the cut to a bounded number of keys and its
// bound (families/keyed/keyed_rows.hpp) carry over, the total being the track's decayed count. A key whose count has
// come to less than kForgotten is dropped: that is near where doubles end, about 963 half-lives after a single event.
#include <algorithm>
#include <cmath>
#include <limits>

#include "families/family.hpp"
#include "families/keyed_decays/stored.hpp"

namespace user_state {

namespace {

/// Below this a key, or a rest, is dropped.
constexpr double kForgotten = 1e-290;

class KeyedDecays : public Family {
 public:
  using Row = KeyedRow<double>;
  using Group = KeyedGroup<double>;

  explicit KeyedDecays(const Plan& plan) : plan_(plan), keys_(plan, fields_of(plan.keyed_decays)), held_(keys_), fresh_(keys_) {
    for (const KeyedDecay& decay : plan.keyed_decays) most_keys_.push_back(decay.most_keys);
    factors_.resize(keys_.tracks());
  }

  void read(Reader in, const Strings& strings) override {
    groups_.clear(), fresh_.clear();
    rows_.rows.clear();
    held_.read(in, strings.named());
    // All rows fade, so all are taken apart.
    for (const Group& group : held_.groups) {
      for (std::size_t row = 0; row < group.keys; ++row) {
        rows_.rows.push_back({{0, group.track}, false, held_.keys.key(group, row), held_.weight(group, row), 0.0});
      }
      if (group.rest > 0) rows_.rows.push_back({{0, group.track}, true, {}, group.rest, 0.0});
    }
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
      std::int64_t time_us = std::max(held_.times_us[track], from.held_.times_us[theirs]);
      factors_[track] = fading(track, held_.times_us[track], time_us);
      joining[theirs] = fading(track, from.held_.times_us[theirs], time_us);
      held_.times_us[track] = time_us;
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

  void use(Strings& strings) const override { held_.keys.use(fresh_.parts, strings); }

  void write(Writer& out, const Strings& strings) const override {
    KeyedDecayColumns<FreshKeyed>& columns = columns_;
    put_tracks(columns);
    if (columns.begun == 0) return;
    const std::uint8_t texts = held_.keys.text_width(fresh_.parts, strings), numbers = held_.keys.other_width(fresh_.parts);
    columns.widths = {columns.tracks.width(), columns.keys.width(), columns.rests.width(), texts, numbers};
    auto put_texts = [&](Writer& to) { held_.keys.put_texts(to, texts, fresh_.parts, strings); };
    auto put_numbers = [&](Writer& to) { held_.keys.put_others(to, numbers, fresh_.parts); };
    columns.texts = WrittenBy(put_texts), columns.numbers = WrittenBy(put_numbers);
    columns.weights = fresh_.weights;
    write_columns(out, columns, KeyedShape());
  }

 private:
  /// Adds a row of its own for every event that a track wants, moves the track's reference time to the newest of them,
  /// and brings the rows there; what stored rows are to be multiplied by goes to `factors_`.
  void arrive(std::size_t track, const Arrivals& arrivals, Strings& strings) {
    const KeyedDecay& decay = plan_.keyed_decays[track];
    const Events& events = arrivals.events;
    std::int64_t newest_us = 0;
    times_us_of_arrived_.clear();
    std::size_t begin = rows_.arrived.size();
    for (std::uint32_t row : arrivals.rows) {
      if (!takes(decay, events, row)) continue;
      double weight = events.weight(decay.weights, row);
      // A reference time of 0 stands for none.
      need(events.time_us(row) > 0);
      newest_us = std::max(newest_us, events.time_us(row));
      keys_.each_key(track, events, row, strings, [&](const Key& key) {
        times_us_of_arrived_.push_back(events.time_us(row));
        rows_.arrived.push_back({{0, static_cast<int>(track)}, false, key, weight, 0.0});
      });
    }
    std::int64_t time_us = std::max(held_.times_us[track], newest_us);
    factors_[track] = fading(track, held_.times_us[track], time_us);
    // In two steps, as they are lifted first and then joined.
    double joining = fading(track, newest_us, time_us);
    for (std::size_t at = begin; at < rows_.arrived.size(); ++at) {
      rows_.arrived[at].weight *= fading(track, times_us_of_arrived_[at - begin], newest_us);
      rows_.arrived[at].weight *= joining;
    }
    held_.times_us[track] = time_us;
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
    held_.keys.lay_out(groups_);
  }

  /// Fills the columns of tracks.
  void put_tracks(KeyedDecayColumns<FreshKeyed>& columns) const {
    for (NarrowNumbers* column : {&columns.tracks, &columns.keys, &columns.rests}) column->clear();
    columns.times_us.clear(), columns.rest_weights.clear();
    auto group = groups_.begin();
    const std::vector<std::int64_t>& times_us = held_.times_us;
    for (std::size_t track = 0; track < times_us.size(); ++track) {
      if (times_us[track] == 0) continue;
      bool some = group != groups_.end() && static_cast<std::size_t>(group->track) == track;
      columns.tracks.add(track);
      columns.keys.add(some ? group->keys : 0);
      columns.rests.add(some && group->rest > 0);
      columns.times_us.push_back(times_us[track]);
      if (some && group->rest > 0) columns.rest_weights.push_back(group->rest);
      if (some) ++group;
    }
    need(columns.times_us.size() <= std::numeric_limits<std::uint16_t>::max());
    columns.begun = static_cast<std::uint16_t>(columns.times_us.size());
  }

  const Plan& plan_;
  KeyColumns keys_;
  std::vector<std::int64_t> most_keys_;
  /// What the section has, with the times as they are from now on; and what comes to be written.
  StoredKeyedDecays held_;
  std::vector<Group> groups_;
  KeyedTable<double> fresh_;
  /// Of one fold: all rows, which fade.
  KeyedRows<double> rows_;
  std::vector<std::int64_t> times_us_of_arrived_;
  std::vector<double> factors_;
  /// Reused record after record.
  mutable KeyedDecayColumns<FreshKeyed> columns_;
};

}  // namespace

std::unique_ptr<Family> make_keyed_decays(const Plan& plan) { return std::make_unique<KeyedDecays>(plan); }

}  // namespace user_state
