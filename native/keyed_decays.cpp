// Keyed decays: user_state/core/keyed_decays.py says what they are, codec/keyed_decays.py their bytes.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "family.hpp"
#include "keyed_rows.hpp"

namespace user_state {

namespace {

/// Below this a key, or a rest, is dropped.
constexpr double kForgotten = 1e-290;
constexpr std::int64_t kEndOfTime = std::int64_t{1} << 62;

std::vector<std::vector<int>> fields_of(const Plan& plan) {
  std::vector<std::vector<int>> by;
  for (const KeyedDecay& decay : plan.keyed_decays) by.push_back(decay.by);
  return by;
}

class KeyedDecays : public Family {
 public:
  using Row = KeyedRow<double>;

  explicit KeyedDecays(const Plan& plan) : plan_(plan), keys_(plan, fields_of(plan)) {
    for (const KeyedDecay& decay : plan.keyed_decays) most_keys_.push_back(decay.most_keys);
    factors_.resize(keys_.tracks());
  }

  void read(Reader in, const Strings& strings) override {
    held_.rows.clear();
    times_us_.assign(keys_.tracks(), 0);
    if (in.left() == 0) return;
    std::size_t tracks = 0;
    auto widths = read_tracks(in, tracks);
    keys_.read(in, widths[kTexts], widths[kNumbers], held_.rows, strings);
    for (std::size_t at = 0; at < tracks; ++at) {
      auto time_us = in.take<std::int64_t>();
      need(time_us > 0 && time_us < kEndOfTime);
      times_us_[columns_[kTracks][at]] = time_us;
    }
    for (bool rest : {false, true}) {
      for (Row& row : held_.rows) {
        if (row.rest != rest) continue;
        row.weight = in.take<double>();
        need(row.weight > 0);
      }
    }
    in.end();
  }

  void fold(const Arrivals& arrivals, Strings& strings) override {
    held_.arrived.clear();
    for (std::size_t track = 0; track < keys_.tracks(); ++track) arrive(track, arrivals, strings);
    for (Row& row : held_.rows) row.weight *= factors_[row.track];
    held_.add_up(keys_, strings, true);
    std::erase_if(held_.rows, [](const Row& row) { return !(row.weight >= kForgotten); });
    held_.cut(most_keys_);
  }

  void use(Strings& strings) const override { keys_.use(held_.rows, strings); }

  void write(Writer& out, const Strings& strings) const override {
    for (NarrowColumn& column : columns_) column.clear();
    std::size_t tracks = put_tracks();
    if (tracks == 0) return;
    keys_.put(held_.rows, strings, columns_[kTexts], columns_[kNumbers]);
    out.put(static_cast<std::uint16_t>(tracks));
    for (const NarrowColumn& column : columns_) out.put(column.width());
    for (const NarrowColumn& column : columns_) column.write(out);
    for (std::int64_t time_us : times_us_) {
      if (time_us > 0) out.put(time_us);
    }
    for (bool rest : {false, true}) {
      for (const Row& row : held_.rows) {
        if (row.rest == rest) out.put(row.weight);
      }
    }
  }

 private:
  enum Column { kTracks, kKeys, kRests, kTexts, kNumbers };
  static constexpr std::size_t kColumns = 5;
  using Widths = std::array<std::uint8_t, kColumns>;

  /// Reads which tracks there are, and makes their rows; returns the widths of all columns.
  Widths read_tracks(Reader& in, std::size_t& tracks) {
    std::size_t left = in.left();
    tracks = in.take<std::uint16_t>();
    auto widths = in.take<Widths>();
    need(tracks > 0);
    for (int column = kTracks; column <= kRests; ++column) columns_[column].read(in, widths[column], tracks);
    for (std::size_t at = 0; at < tracks; ++at) {
      std::uint64_t track = columns_[kTracks][at], keys = columns_[kKeys][at], rests = columns_[kRests][at];
      need(track < keys_.tracks() && (at == 0 || track > columns_[kTracks][at - 1]));
      need(keys <= kMostKeys && keys <= left && rests <= 1);
      left -= keys;
      held_.rows.insert(held_.rows.end(), keys, {0, static_cast<int>(track), false, {}, 0.0, 0.0});
      held_.rows.insert(held_.rows.end(), rests, {0, static_cast<int>(track), true, {}, 0.0, 0.0});
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
    std::size_t begin = held_.arrived.size();
    for (std::uint32_t row : arrivals.rows) {
      if (!events.matches(decay.filter, row)) continue;
      double weight = events.weight(decay.weights, row);
      Key key;
      if (!(weight > 0) || !keys_.lift(track, events, row, strings, key)) continue;
      // A reference time of 0 stands for none.
      need(events.time_us(row) > 0);
      newest_us = std::max(newest_us, events.time_us(row));
      times_us_of_arrived_.push_back(events.time_us(row));
      held_.arrived.push_back({0, static_cast<int>(track), false, key, weight, 0.0});
    }
    auto fading = [&](std::int64_t from_us, std::int64_t to_us) {
      return std::exp2(static_cast<double>(from_us - to_us) / static_cast<double>(decay.half_life_us));
    };
    std::int64_t time_us = std::max(times_us_[track], newest_us);
    factors_[track] = fading(times_us_[track], time_us);
    // In two steps, as they are lifted first and then joined.
    double joining = fading(newest_us, time_us);
    for (std::size_t at = begin; at < held_.arrived.size(); ++at) {
      held_.arrived[at].weight *= fading(times_us_of_arrived_[at - begin], newest_us);
      held_.arrived[at].weight *= joining;
    }
    times_us_[track] = time_us;
  }

  /// Fills the columns of tracks, and returns how many of those there are.
  std::size_t put_tracks() const {
    std::size_t tracks = 0, at = 0;
    for (std::size_t track = 0; track < times_us_.size(); ++track) {
      if (times_us_[track] == 0) continue;
      std::size_t begin = at;
      while (at < held_.rows.size() && static_cast<std::size_t>(held_.rows[at].track) == track) ++at;
      bool rest = at > begin && held_.rows[at - 1].rest;
      ++tracks;
      columns_[kTracks].add(track);
      columns_[kKeys].add(at - begin - rest);
      columns_[kRests].add(rest);
    }
    need(tracks <= std::numeric_limits<std::uint16_t>::max());
    return tracks;
  }

  const Plan& plan_;
  KeyColumns keys_;
  std::vector<std::int64_t> most_keys_;
  /// The tracks' reference times, 0 where there is nothing.
  std::vector<std::int64_t> times_us_;
  KeyedRows<double> held_;
  std::vector<std::int64_t> times_us_of_arrived_;
  std::vector<double> factors_;
  /// What is in them matters only while a section is read or written.
  mutable std::array<NarrowColumn, kColumns> columns_;
};

}  // namespace

std::unique_ptr<Family> make_keyed_decays(const Plan& plan) { return std::make_unique<KeyedDecays>(plan); }

}  // namespace user_state
