// Keyed tiles: user_state/core/keyed_tiles.py says what they are, codec/keyed_tiles.py their bytes.
#include <algorithm>
#include <array>
#include <limits>

#include "families/family.hpp"
#include "families/keyed/keyed_rows.hpp"
#include "families/keyed/stored_keys.hpp"

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
  /// Of a stored one, where its wide counts and sums begin, and how many wide ones there are.
  struct Tile : KeyedGroup<std::int64_t> {
    std::uint32_t wide_at = 0, sum_at = 0, wides = 0;
    /// Whether packing would write its counts in another way.
    bool odd = false;
  };

  explicit KeyedTiles(const Plan& plan)
      : plan_(plan), axes_(plan.keyed_axes), keys_(plan, fields_of(plan)), stored_(keys_), fresh_(keys_) {
    for (const KeyedTrack& track : plan.keyed_tracks) {
      sums_.push_back(track.of.has_value());
      most_keys_.push_back(track.most_keys);
    }
  }

  void read(Reader in, const Strings& strings) override {
    tiles_.clear(), fresh_.clear();
    if (in.left() == 0) return;
    auto widths = read_tiles(in);
    stored_.read(in, widths[kTexts], widths[kNumbers], tiles_, strings);
    read_counts(in, widths[kWides]);
    std::uint32_t sums = 0;
    for (Tile& tile : tiles_) {
      tile.sum_at = sums;
      if (sums_[tile.track]) sums += tile.keys;
    }
    stored_sums_ = in.packed<double>(sums);
    for (Tile& tile : tiles_) {
      if (sums_[tile.track] && tile.rest > 0) tile.rest_sum = in.take<double>();
    }
    in.end();
  }

  void fold(const Arrivals& arrivals, Strings& strings) override {
    lift(arrivals, strings);
    take_in_arrived(arrivals.clock_us, strings);
  }

  void absorb(const Family& other, std::span<const int> becomes, std::int64_t clock_us, Strings& strings) override {
    const auto& from = static_cast<const KeyedTiles&>(other);
    changing_.arrived.clear();
    for (const Tile& tile : from.tiles_) {
      int track = becomes[static_cast<std::size_t>(tile.track)];
      if (track == kGone) continue;
      from.take_apart(tile, [&](Row row) {
        if (!row.rest) row.key = from.keys_.recoded(tile.track, row.key, strings);
        row.track = track;
        changing_.arrived.push_back(row);
      });
    }
    take_in_arrived(clock_us, strings);
  }

  void use(Strings& strings) const override { stored_.use(fresh_.parts, strings); }

  void write(Writer& out, const Strings& strings) const override {
    if (tiles_.empty()) return;
    for (NarrowColumn& column : columns_) column.clear();
    put_tiles(out);
    const std::uint8_t texts = stored_.text_width(fresh_.parts, strings);
    const std::uint8_t numbers = stored_.other_width(fresh_.parts), wides = width_of_wides();
    for (const NarrowColumn& column : columns_) out.put(column.width());
    out.put(texts), out.put(numbers), out.put(wides);
    for (const NarrowColumn& column : columns_) column.write(out);
    stored_.put_texts(out, texts, fresh_.parts, strings);
    stored_.put_others(out, numbers, fresh_.parts);
    put_counts(out, wides);
    each_piece(
        tiles_, [&](const Tile& tile) { return sums_[tile.track]; },
        [](const Tile& tile) { return tile.stored ? tile.sum_at : tile.at; },
        [&](bool stored, std::size_t begin, std::size_t size) {
          if (stored) return out.bytes(stored_sums_.bytes(begin, begin + size));
          out.column<double>(std::span(fresh_.sums).subspan(begin, size), [](double sum) { return sum; });
        });
    for (const Tile& tile : tiles_) {
      if (sums_[tile.track] && tile.rest > 0) out.put(tile.rest_sum);
    }
  }

 private:
  enum Column { kSteps, kTracks, kKeys, kRests, kTexts, kNumbers, kWides };
  using Widths = std::array<std::uint8_t, 7>;

  /// Reads which tiles there are; returns the widths of all columns.
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
      Tile& added = tiles_.emplace_back();
      static_cast<GroupName&>(added) = name;
      added.stored = true;
      added.at = static_cast<std::uint32_t>(rows);
      added.keys = static_cast<std::uint32_t>(keys);
      added.rest = static_cast<std::int64_t>(rest);
      rows += keys;
    }
    return widths;
  }

  void read_counts(Reader& in, std::uint8_t width) {
    std::size_t rows = tiles_.back().at + tiles_.back().keys;
    std::uint32_t wides = 0;
    counts_ = in.packed<std::uint8_t>(rows);
    std::string_view counts = counts_.bytes(0, rows);
    need(counts.find('\0') == std::string_view::npos);
    constexpr char kMark = static_cast<char>(kWide);
    std::size_t next = counts.find(kMark);
    for (Tile& tile : tiles_) {
      tile.wide_at = wides;
      for (; next < tile.at + tile.keys; next = counts.find(kMark, next + 1)) ++wides;
      tile.wides = wides - tile.wide_at;
    }
    wides_ = NarrowView(in, width, wides);
    for (Tile& tile : tiles_) {
      for (std::size_t at = tile.wide_at; at < tile.wide_at + tile.wides; ++at) {
        need(wides_[at] > 0 && wides_[at] <= static_cast<std::uint64_t>(kLargest));
        tile.odd |= wides_[at] < kWide;
      }
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

  /// Adds up what there is and what arrived, as of the clock.
  void take_in_arrived(std::int64_t clock_us, const Strings& strings) {
    axes_.set_clock(clock_us);
    place(changing_.arrived);
    place(tiles_);
    auto before = [](const GroupName& a, const GroupName& b) { return a.group_before(b); };
    if (!std::ranges::is_sorted(tiles_, before)) std::ranges::stable_sort(tiles_, before);
    std::ranges::stable_sort(changing_.arrived, before);
    bool in_order = take_changing();
    changing_.add_up(keys_, strings, in_order);
    changing_.cut(most_keys_);
    changed_.clear();
    fresh_.put(changing_.rows, changed_);
    tiles_.resize(unchanged_.size() + changed_.size());
    std::ranges::merge(unchanged_, changed_, tiles_.begin(), before);
    stored_.lay_out(tiles_);
  }

  /// Places rows or tiles on the time axis of their tracks.
  template <class Placed>
  void place(std::vector<Placed>& all) const {
    std::size_t kept = 0;
    for (const Placed& one : all) {
      std::int64_t start_s = axes_.place(one.track, one.start_s);
      if (start_s == TrackAxes::kDropped) continue;
      if (&all[kept] != &one) all[kept] = one;
      all[kept++].start_s = start_s;
    }
    all.resize(kept);
  }

  /// Divides tiles, which are in order, into those that stay as they are, and rows of those that do not: because they
  /// came to one place, or something arrived for them, or they have more keys than they may have, or are odd. Returns
  /// whether the rows are in order.
  bool take_changing() {
    unchanged_.clear();
    changing_.rows.clear();
    bool in_order = true;
    const std::vector<Tile>& tiles = tiles_;
    auto arrived = changing_.arrived.begin();
    for (std::size_t begin = 0, end; begin < tiles.size(); begin = end) {
      const Tile& tile = tiles[begin];
      for (end = begin + 1; end < tiles.size() && tiles[end].same_group(tile);) ++end;
      while (arrived != changing_.arrived.end() && arrived->group_before(tile)) ++arrived;
      bool grows = arrived != changing_.arrived.end() && arrived->same_group(tile);
      if (end == begin + 1 && !grows && !tile.odd && tile.keys <= static_cast<std::size_t>(most_keys_[tile.track])) {
        unchanged_.push_back(tile);
        continue;
      }
      in_order &= end == begin + 1;
      for (std::size_t at = begin; at < end; ++at) {
        take_apart(tiles[at], [this](const Row& row) { changing_.rows.push_back(row); });
      }
    }
    return in_order;
  }

  /// Calls `see` with the rows of a stored tile, the rest last.
  template <class See>
  void take_apart(const Tile& tile, See see) const {
    std::size_t wide = tile.wide_at;
    for (std::size_t row = 0; row < tile.keys; ++row) {
      std::int64_t count = counts_[tile.at + row];
      if (count == kWide) count = static_cast<std::int64_t>(wides_[wide++]);
      double sum = sums_[tile.track] ? stored_sums_[tile.sum_at + row] : 0.0;
      see(Row{{tile.start_s, tile.track}, false, stored_.key(tile, row), count, sum});
    }
    if (tile.rest > 0) see(Row{{tile.start_s, tile.track}, true, {}, tile.rest, tile.rest_sum});
  }

  static std::uint64_t ending(std::int64_t count) { return static_cast<std::uint64_t>(std::min(count, kLargest)); }

  std::uint8_t width_of_wides() const {
    std::uint64_t bits = 0;
    for (const Tile& tile : tiles_) {
      if (!tile.stored) continue;
      for (std::size_t at = tile.wide_at; at < tile.wide_at + tile.wides; ++at) bits |= wides_[at];
    }
    for (std::int64_t count : fresh_.weights) {
      if (count >= kWide) bits |= ending(count);
    }
    return Writer::width_of(bits);
  }

  void put_counts(Writer& out, std::uint8_t wide_width) const {
    each_piece(
        tiles_, [](const Tile&) { return true; }, [](const Tile& tile) { return tile.at; },
        [&](bool stored, std::size_t begin, std::size_t size) {
          if (stored) return out.bytes(counts_.bytes(begin, begin + size));
          out.column<std::uint8_t>(std::span(fresh_.weights).subspan(begin, size),
                                   [](std::int64_t count) { return std::min(count, kWide); });
        });
    for (const Tile& tile : tiles_) {
      if (tile.stored) {
        if (tile.wides > 0) wides_.put(out, wide_width, tile.wide_at, tile.wides);
        continue;
      }
      for (std::int64_t count : std::span(fresh_.weights).subspan(tile.at, tile.keys)) {
        if (count >= kWide) out.narrow(wide_width, std::span(&count, 1), ending);
      }
    }
  }

  /// Puts how many tiles there are and when they begin, and fills the columns of tiles.
  void put_tiles(Writer& out) const {
    std::size_t lifetime = 0;
    std::int64_t first_s = 0, before_s = 0;
    for (const Tile& tile : tiles_) {
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
    out.put(static_cast<std::uint32_t>(tiles_.size()));
    out.put(static_cast<std::uint16_t>(lifetime));
    out.put(static_cast<std::uint32_t>(first_s));
  }

  const Plan& plan_;
  TrackAxes axes_;
  KeyColumns keys_;
  std::vector<bool> sums_;
  std::vector<std::int64_t> most_keys_;
  std::vector<Tile> tiles_;
  /// What of them the section has, and what was made anew.
  StoredKeys stored_;
  Packed<std::uint8_t> counts_;
  NarrowView wides_;
  Packed<double> stored_sums_;
  KeyedTable<std::int64_t> fresh_;
  /// Of one fold: the rows of tiles that change, the tiles these come to, and the tiles that do not change.
  KeyedRows<std::int64_t> changing_;
  std::vector<Tile> changed_, unchanged_;
  /// What is in them matters only while a section is read or written.
  mutable std::array<NarrowColumn, kTexts> columns_;
};

}  // namespace

std::unique_ptr<Family> make_keyed_tiles(const Plan& plan) { return std::make_unique<KeyedTiles>(plan); }

}  // namespace user_state
