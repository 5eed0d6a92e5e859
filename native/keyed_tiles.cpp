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

bool sums(const Plan& plan) {
  return std::ranges::any_of(plan.keyed_tracks, [](const KeyedTrack& track) { return track.of.has_value(); });
}

class KeyedTiles : public Family {
 public:
  using Row = KeyedRow<std::int64_t>;
  using Tile = KeyedGroup<std::int64_t>;

  explicit KeyedTiles(const Plan& plan)
      : plan_(plan), axes_(plan.keyed_axes), keys_(plan, fields_of(plan)), held_(keys_, sums(plan)) {
    for (const KeyedTrack& track : plan.keyed_tracks) {
      sums_.push_back(track.of.has_value());
      most_keys_.push_back(track.most_keys);
    }
  }

  void read(Reader in, const Strings& strings) override {
    held_.clear();
    if (in.left() == 0) return;
    auto widths = read_tiles(in);
    keys_.read(in, widths[kTexts], widths[kNumbers], held_.groups, strings, held_.parts);
    read_counts(in, widths[kWides]);
    for (const Tile& tile : held_.groups) {
      if (!sums_[tile.track]) continue;
      for (std::size_t at = tile.at; at < tile.at + tile.keys; ++at) held_.sums[at] = in.take<double>();
    }
    for (Tile& tile : held_.groups) {
      if (sums_[tile.track] && tile.rest > 0) tile.rest_sum = in.take<double>();
    }
    in.end();
  }

  void fold(const Arrivals& arrivals, Strings& strings) override {
    lift(arrivals, strings);
    axes_.set_clock(arrivals.clock_us);
    place(changing_.arrived);
    place(held_.groups);
    auto before = [](const GroupName& a, const GroupName& b) { return a.group_before(b); };
    if (!std::ranges::is_sorted(held_.groups, before)) std::ranges::stable_sort(held_.groups, before);
    std::ranges::stable_sort(changing_.arrived, before);
    bool in_order = take_changing();
    changing_.add_up(keys_, strings, in_order);
    changing_.cut(most_keys_);
    changed_.clear();
    held_.put(changing_.rows, changed_);
    held_.groups.resize(unchanged_.size() + changed_.size());
    std::ranges::merge(unchanged_, changed_, held_.groups.begin(), before);
  }

  void use(Strings& strings) const override { keys_.use(held_.groups, held_.parts, strings); }

  void write(Writer& out, const Strings& strings) const override {
    if (held_.groups.empty()) return;
    for (NarrowColumn& column : columns_) column.clear();
    put_tiles(out);
    keys_.put(held_.groups, held_.parts, strings, columns_[kTexts], columns_[kNumbers]);
    counts_.clear();
    held_.each_weights([&](std::span<const std::int64_t> counts) {
      Writer(counts_).column<std::uint8_t>(counts, [&](std::int64_t count) {
        if (count < kWide) return count;
        columns_[kWides].add(static_cast<std::uint64_t>(std::min(count, kLargest)));
        return kWide;
      });
    });
    for (const NarrowColumn& column : columns_) out.put(column.width());
    for (int column = kSteps; column < kWides; ++column) columns_[column].write(out);
    out.bytes(counts_.view());
    columns_[kWides].write(out);
    for (const Tile& tile : held_.groups) {
      if (!sums_[tile.track]) continue;
      out.column<double>(std::span(held_.sums).subspan(tile.at, tile.keys), [](double sum) { return sum; });
    }
    for (const Tile& tile : held_.groups) {
      if (sums_[tile.track] && tile.rest > 0) out.put(tile.rest_sum);
    }
  }

 private:
  enum Column { kSteps, kTracks, kKeys, kRests, kTexts, kNumbers, kWides };
  static constexpr std::size_t kColumns = 7;
  using Widths = std::array<std::uint8_t, kColumns>;

  /// Reads which tiles there are, and makes room for their keys; returns the widths of all columns.
  Widths read_tiles(Reader& in) {
    std::size_t length = in.left(), left = length;
    std::size_t tiles = in.take<std::uint32_t>(), lifetime = in.take<std::uint16_t>();
    std::uint64_t start_s = in.take<std::uint32_t>();
    auto widths = in.take<Widths>();
    need(tiles > 0 && tiles <= length && lifetime <= tiles);
    for (int column = kSteps; column <= kRests; ++column) {
      columns_[column].read(in, widths[column], column == kSteps ? tiles - lifetime : tiles);
    }
    GroupName before{-1, 0};
    std::size_t rows = 0;
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
      GroupName name{tile < lifetime ? 0 : static_cast<std::int64_t>(start_s), static_cast<int>(track)};
      need(before.group_before(name));
      before = name;
      held_.groups.push_back({name, rows, keys, static_cast<std::int64_t>(rest), 0.0});
      rows += keys;
    }
    held_.resize(rows);
    return widths;
  }

  void read_counts(Reader& in, std::uint8_t width) {
    wide_.clear();
    auto narrow = in.packed<std::uint8_t>(held_.weights.size());
    for (std::size_t at = 0; at < held_.weights.size(); ++at) {
      held_.weights[at] = narrow[at];
      need(narrow[at] > 0);
      if (narrow[at] == kWide) wide_.push_back(at);
    }
    columns_[kWides].read(in, width, wide_.size());
    for (std::size_t at = 0; at < wide_.size(); ++at) {
      std::uint64_t count = columns_[kWides][at];
      need(count > 0 && count <= static_cast<std::uint64_t>(kLargest));
      held_.weights[wide_[at]] = static_cast<std::int64_t>(count);
    }
  }

  /// Adds a row of its own, in a tile one second wide, for every event and track that wants it.
  void lift(const Arrivals& arrivals, Strings& strings) {
    const Events& events = arrivals.events;
    changing_.arrived.clear();
    for (std::size_t index = 0; index < plan_.keyed_tracks.size(); ++index) {
      const KeyedTrack& track = plan_.keyed_tracks[index];
      for (std::uint32_t row : arrivals.rows) {
        if (!events.matches(track.filter, row) || (track.of && !events.has(*track.of, row))) continue;
        Key key;
        if (!keys_.lift(index, events, row, strings, key)) continue;
        double number = track.of ? events.number(*track.of, row) : 0.0;
        changing_.arrived.push_back({{events.second(row), static_cast<int>(index)}, false, key, 1, number});
      }
    }
  }

  /// Places rows or tiles on the time axis of their tracks.
  template <class Placed>
  void place(std::vector<Placed>& all) const {
    std::size_t kept = 0;
    for (const Placed& one : all) {
      std::int64_t start_s = axes_.place(one.track, one.start_s);
      if (start_s == TrackAxes::kDropped) continue;
      all[kept] = one;
      all[kept++].start_s = start_s;
    }
    all.resize(kept);
  }

  /// Divides tiles, which are in order, into those that stay as they are, and rows of those that do not: because they
  /// came to one place, or something arrived for them, or they have more keys than they may have. Returns whether the
  /// rows are in order.
  bool take_changing() {
    unchanged_.clear();
    changing_.rows.clear();
    bool in_order = true;
    const std::vector<Tile>& tiles = held_.groups;
    auto arrived = changing_.arrived.begin();
    for (std::size_t begin = 0, end; begin < tiles.size(); begin = end) {
      const Tile& tile = tiles[begin];
      for (end = begin + 1; end < tiles.size() && tiles[end].same_group(tile);) ++end;
      while (arrived != changing_.arrived.end() && arrived->group_before(tile)) ++arrived;
      bool grows = arrived != changing_.arrived.end() && arrived->same_group(tile);
      if (end == begin + 1 && !grows && tile.keys <= static_cast<std::size_t>(most_keys_[tile.track])) {
        unchanged_.push_back(tile);
        continue;
      }
      in_order &= end == begin + 1;
      for (std::size_t at = begin; at < end; ++at) held_.take(tiles[at], changing_.rows);
    }
    return in_order;
  }

  /// Puts how many tiles there are and when they begin, and fills the columns of tiles.
  void put_tiles(Writer& out) const {
    std::size_t lifetime = 0;
    std::int64_t first_s = 0, before_s = 0;
    for (const Tile& tile : held_.groups) {
      if (tile.start_s == 0) {
        ++lifetime;
      } else {
        if (first_s == 0) first_s = before_s = tile.start_s;
        columns_[kSteps].add(static_cast<std::uint64_t>(tile.start_s - before_s));
        before_s = tile.start_s;
      }
      columns_[kTracks].add(static_cast<std::uint64_t>(tile.track));
      columns_[kKeys].add(tile.keys);
      columns_[kRests].add(static_cast<std::uint64_t>(std::min(tile.rest, kLargest)));
    }
    need(lifetime <= std::numeric_limits<std::uint16_t>::max());
    out.put(static_cast<std::uint32_t>(held_.groups.size()));
    out.put(static_cast<std::uint16_t>(lifetime));
    out.put(static_cast<std::uint32_t>(first_s));
  }

  const Plan& plan_;
  TrackAxes axes_;
  KeyColumns keys_;
  std::vector<bool> sums_;
  std::vector<std::int64_t> most_keys_;
  KeyedTable<std::int64_t> held_;
  /// Of one fold: the rows of tiles that change, the tiles these come to, and the tiles that do not change.
  KeyedRows<std::int64_t> changing_;
  std::vector<Tile> changed_, unchanged_;
  /// What is in them matters only while a section is read or written.
  mutable std::array<NarrowColumn, kColumns> columns_;
  mutable Buffer counts_;
  std::vector<std::size_t> wide_;
};

}  // namespace

std::unique_ptr<Family> make_keyed_tiles(const Plan& plan) { return std::make_unique<KeyedTiles>(plan); }

}  // namespace user_state
