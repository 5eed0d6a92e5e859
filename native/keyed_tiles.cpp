// Keyed tiles: user_state/core/keyed_tiles.py says what they are, codec/keyed_tiles.py their bytes.
#include <algorithm>
#include <array>
#include <limits>

#include "family.hpp"
#include "keyed_rows.hpp"

namespace user_state {

namespace {

constexpr std::int64_t kWide = 255;
/// Counts end here, and stay here.
constexpr std::int64_t kLargest = std::int64_t{1} << 48;
constexpr std::uint64_t kEndOfTime = std::uint64_t{1} << 32;

std::vector<std::vector<int>> fields_of(const Plan& plan) {
  std::vector<std::vector<int>> by;
  for (const KeyedTrack& track : plan.keyed_tracks) by.push_back(track.by);
  return by;
}

class KeyedTiles : public Family {
 public:
  using Row = KeyedRow<std::int64_t>;

  explicit KeyedTiles(const Plan& plan) : plan_(plan), axes_(plan.keyed_axes), keys_(plan, fields_of(plan)) {
    for (const KeyedTrack& track : plan.keyed_tracks) {
      sums_.push_back(track.of.has_value());
      most_keys_.push_back(track.most_keys);
    }
  }

  void read(Reader in, const Strings& strings) override {
    held_.rows.clear();
    if (in.left() == 0) return;
    auto widths = read_tiles(in);
    keys_.read(in, widths[kTexts], widths[kNumbers], held_.rows, strings);
    read_counts(in, widths[kWides]);
    for (bool rest : {false, true}) {
      for (Row& row : held_.rows) {
        if (row.rest == rest && sums_[row.track]) row.sum = in.take<double>();
      }
    }
    in.end();
  }

  void fold(const Arrivals& arrivals, Strings& strings) override {
    lift(arrivals, strings);
    axes_.set_clock(arrivals.clock_us);
    place(held_.arrived);
    bool in_order = place(held_.rows);
    held_.add_up(keys_, strings, in_order);
    held_.cut(most_keys_);
  }

  void use(Strings& strings) const override { keys_.use(held_.rows, strings); }

  void write(Writer& out, const Strings& strings) const override {
    if (held_.rows.empty()) return;
    for (NarrowColumn& column : columns_) column.clear();
    put_tiles(out);
    keys_.put(held_.rows, strings, columns_[kTexts], columns_[kNumbers]);
    for (const Row& row : held_.rows) {
      if (!row.rest && row.weight >= kWide) columns_[kWides].add(std::min(row.weight, kLargest));
    }
    for (const NarrowColumn& column : columns_) out.put(column.width());
    for (int column = kSteps; column < kWides; ++column) columns_[column].write(out);
    for (const Row& row : held_.rows) {
      if (!row.rest) out.put(static_cast<std::uint8_t>(std::min(row.weight, kWide)));
    }
    columns_[kWides].write(out);
    for (bool rest : {false, true}) {
      for (const Row& row : held_.rows) {
        if (row.rest == rest && sums_[row.track]) out.put(row.sum);
      }
    }
  }

 private:
  enum Column { kSteps, kTracks, kKeys, kRests, kTexts, kNumbers, kWides };
  static constexpr std::size_t kColumns = 7;
  using Widths = std::array<std::uint8_t, kColumns>;

  /// Reads which tiles there are, and makes their rows; returns the widths of all columns.
  Widths read_tiles(Reader& in) {
    std::size_t length = in.left(), left = length;
    std::size_t tiles = in.take<std::uint32_t>(), lifetime = in.take<std::uint16_t>();
    std::uint64_t start_s = in.take<std::uint32_t>();
    auto widths = in.take<Widths>();
    need(tiles > 0 && tiles <= length && lifetime <= tiles);
    for (int column = kSteps; column <= kRests; ++column) {
      columns_[column].read(in, widths[column], column == kSteps ? tiles - lifetime : tiles);
    }
    Row before{-1, 0, false, {}, 0, 0.0};
    for (std::size_t tile = 0; tile < tiles; ++tile) {
      if (tile >= lifetime) {
        std::uint64_t step = columns_[kSteps][tile - lifetime];
        need(step < kEndOfTime);
        start_s += step;
        need(start_s > 0 && start_s < kEndOfTime);
      }
      std::uint64_t track = columns_[kTracks][tile], keys = columns_[kKeys][tile], rest = columns_[kRests][tile];
      need(track < keys_.tracks() && keys <= kMostKeys && keys <= left);
      need(rest <= static_cast<std::uint64_t>(kLargest) && keys + rest > 0);
      left -= keys;
      Row row{tile < lifetime ? 0 : static_cast<std::int64_t>(start_s), static_cast<int>(track), false, {}, 0, 0.0};
      need(before.group_before(row));
      before = row;
      held_.rows.insert(held_.rows.end(), keys, row);
      if (rest > 0) held_.rows.push_back({row.start_s, row.track, true, {}, static_cast<std::int64_t>(rest), 0.0});
    }
    return widths;
  }

  void read_counts(Reader& in, std::uint8_t width) {
    std::size_t wide = 0, next = 0;
    for (Row& row : held_.rows) {
      if (row.rest) continue;
      row.weight = in.take<std::uint8_t>();
      wide += row.weight == kWide;
    }
    columns_[kWides].read(in, width, wide);
    for (Row& row : held_.rows) {
      if (!row.rest && row.weight == kWide) {
        std::uint64_t count = columns_[kWides][next++];
        need(count <= static_cast<std::uint64_t>(kLargest));
        row.weight = static_cast<std::int64_t>(count);
      }
      need(row.weight > 0);
    }
  }

  /// Adds a row of its own, in a tile one second wide, for every event and track that wants it.
  void lift(const Arrivals& arrivals, Strings& strings) {
    const Events& events = arrivals.events;
    held_.arrived.clear();
    for (std::size_t index = 0; index < plan_.keyed_tracks.size(); ++index) {
      const KeyedTrack& track = plan_.keyed_tracks[index];
      for (std::uint32_t row : arrivals.rows) {
        if (!events.matches(track.filter, row) || (track.of && !events.has(*track.of, row))) continue;
        Key key;
        if (!keys_.lift(index, events, row, strings, key)) continue;
        double number = track.of ? events.number(*track.of, row) : 0.0;
        held_.arrived.push_back({events.second(row), static_cast<int>(index), false, key, 1, number});
      }
    }
  }

  /// Places rows on the time axis of their tracks; returns whether they are in the order of their groups, each once.
  bool place(std::vector<Row>& rows) const {
    std::size_t kept = 0;
    bool in_order = true;
    for (std::size_t begin = 0, end; begin < rows.size(); begin = end) {
      Row group = rows[begin];
      for (end = begin + 1; end < rows.size() && rows[end].same_group(group);) ++end;
      group.start_s = axes_.place(group.track, group.start_s);
      if (group.start_s == TrackAxes::kDropped) continue;
      in_order = in_order && (kept == 0 || rows[kept - 1].group_before(group));
      for (std::size_t at = begin; at < end; ++at) {
        if (at != kept) rows[kept] = rows[at];
        rows[kept++].start_s = group.start_s;
      }
    }
    rows.resize(kept);
    return in_order;
  }

  /// Puts how many tiles there are and when they begin, and fills the columns of tiles.
  void put_tiles(Writer& out) const {
    const std::vector<Row>& rows = held_.rows;
    std::size_t tiles = 0, lifetime = 0;
    std::int64_t first_s = 0, before_s = 0;
    for (std::size_t begin = 0, end; begin < rows.size(); begin = end) {
      for (end = begin + 1; end < rows.size() && rows[end].same_group(rows[begin]);) ++end;
      const Row &head = rows[begin], &last = rows[end - 1];
      ++tiles;
      if (head.start_s == 0) {
        ++lifetime;
      } else {
        if (first_s == 0) first_s = before_s = head.start_s;
        columns_[kSteps].add(static_cast<std::uint64_t>(head.start_s - before_s));
        before_s = head.start_s;
      }
      columns_[kTracks].add(static_cast<std::uint64_t>(head.track));
      columns_[kKeys].add(end - begin - last.rest);
      columns_[kRests].add(last.rest ? static_cast<std::uint64_t>(std::min(last.weight, kLargest)) : 0);
    }
    need(lifetime <= std::numeric_limits<std::uint16_t>::max());
    out.put(static_cast<std::uint32_t>(tiles));
    out.put(static_cast<std::uint16_t>(lifetime));
    out.put(static_cast<std::uint32_t>(first_s));
  }

  const Plan& plan_;
  TrackAxes axes_;
  KeyColumns keys_;
  std::vector<bool> sums_;
  std::vector<std::int64_t> most_keys_;
  KeyedRows<std::int64_t> held_;
  /// What is in them matters only while a section is read or written.
  mutable std::array<NarrowColumn, kColumns> columns_;
};

}  // namespace

std::unique_ptr<Family> make_keyed_tiles(const Plan& plan) { return std::make_unique<KeyedTiles>(plan); }

}  // namespace user_state
