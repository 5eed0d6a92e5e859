// Keyed tiles: how many events each key had in each tile of a track, and the sum of a field if an output needs it. What
// events make of them.
//
// Tiles lie on the time axis of their track (families/axes.hpp). Tiles of one place are joined by adding up equal keys.
// A tile holds a bounded number of keys: families/keyed/keyed_rows.hpp says how it is cut, what bound holds then, and
// when order does not matter. Rolling up joins tiles and so may cut; tiles that never held more keys than their track
// may are exact.
#include <algorithm>
#include <limits>

#include "families/family.hpp"
#include "families/keyed_tiles/stored.hpp"

namespace user_state {

namespace {

std::vector<bool> sums_of(const Plan& plan) {
  std::vector<bool> sums;
  for (const KeyedTrack& track : plan.keyed_tracks) sums.push_back(track.of.has_value());
  return sums;
}

class KeyedTiles : public Family {
 public:
  using Row = KeyedRow<std::int64_t>;
  using Tile = KeyedTile;

  explicit KeyedTiles(const Plan& plan)
      : plan_(plan), axes_(plan.keyed_axes), keys_(plan, fields_of(plan.keyed_tracks)), held_(keys_, sums_of(plan)), fresh_(keys_) {
    for (const KeyedTrack& track : plan.keyed_tracks) most_keys_.push_back(track.most_keys);
  }

  void read(Reader in, const Strings& strings) override {
    tiles_.clear(), fresh_.clear();
    if (in.left() > 0) held_.read(in, strings.named(), tiles_);
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

  void use(Strings& strings) const override { held_.keys.use(fresh_.parts, strings); }

  void write(Writer& out, const Strings& strings) const override {
    if (tiles_.empty()) return;
    using Columns = KeyedTileColumns<FreshKeyed>;
    Columns& columns = columns_;
    put_tiles(columns);
    const std::uint8_t texts = held_.keys.text_width(fresh_.parts, strings);
    const std::uint8_t numbers = held_.keys.other_width(fresh_.parts), wides = width_of_wides();
    columns.widths = {columns.steps_s.width(), columns.tracks.width(), columns.keys.width(), columns.rests.width(),
                      texts, numbers, wides};
    auto put_texts = [&](Writer& to) { held_.keys.put_texts(to, texts, fresh_.parts, strings); };
    auto put_numbers = [&](Writer& to) { held_.keys.put_others(to, numbers, fresh_.parts); };
    auto put_counts = [this](Writer& to) { this->put_counts(to); };
    auto put_wides = [&](Writer& to) { this->put_wides(to, wides); };
    auto put_sums = [this](Writer& to) { this->put_sums(to); };
    columns.texts = WrittenBy(put_texts), columns.numbers = WrittenBy(put_numbers);
    columns.counts = WrittenBy(put_counts), columns.wides = WrittenBy(put_wides), columns.sums = WrittenBy(put_sums);
    write_columns(out, columns, KeyedShape());
  }

 private:
  static constexpr std::int64_t kWide = StoredKeyedTiles::kWide, kLargest = StoredKeyedTiles::kLargest;

  /// Adds a row of its own, in a tile one second wide, for every event and track that wants it.
  void lift(const Arrivals& arrivals, Strings& strings) {
    const Events& events = arrivals.events;
    changing_.arrived.clear();
    for (std::size_t index = 0; index < plan_.keyed_tracks.size(); ++index) {
      const KeyedTrack& track = plan_.keyed_tracks[index];
      for (std::uint32_t row : arrivals.rows) {
        if (!takes(track, events, row)) continue;
        double number = track.of ? events.number(*track.of, row) : 0.0;
        keys_.each_key(index, events, row, strings, [&](const Key& key) {
          changing_.arrived.push_back({{events.second(row), static_cast<int>(index)}, false, key, 1, number});
        });
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
    held_.keys.lay_out(tiles_);
  }

  /// Places rows or tiles on the time axis of their tracks.
  template <class Placed>
  void place(std::vector<Placed>& all) const {
    std::size_t kept = 0;
    // Tiles are many, and most of them stay.
    while (kept < all.size() && axes_.stays_on(axes_.axis_of(all[kept].track), all[kept].start_s)) ++kept;
    for (const Placed& one : std::span(all).subspan(kept)) {
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
    held_.each(tile, [&](std::size_t row, std::int64_t count, double sum) {
      see(Row{{tile.start_s, tile.track}, false, held_.keys.key(tile, row), count, sum});
    });
    if (tile.rest > 0) see(Row{{tile.start_s, tile.track}, true, {}, tile.rest, tile.rest_sum});
  }

  static std::uint64_t ending(std::int64_t count) { return static_cast<std::uint64_t>(std::min(count, kLargest)); }

  std::uint8_t width_of_wides() const {
    std::uint64_t bits = 0;
    for (const Tile& tile : tiles_) {
      if (!tile.stored) continue;
      for (std::size_t at = tile.wide_at; at < tile.wide_at + tile.wides; ++at) bits |= held_.columns.wides[at];
    }
    for (std::int64_t count : fresh_.weights) {
      if (count >= kWide) bits |= ending(count);
    }
    return Writer::width_of(bits);
  }

  void put_counts(Writer& out) const {
    each_piece(
        tiles_, [](const Tile&) { return true; }, [](const Tile& tile) { return tile.at; },
        [&](bool stored, std::size_t begin, std::size_t size) {
          if (stored) return out.bytes(held_.columns.counts.bytes(begin, begin + size));
          out.column<std::uint8_t>(std::span(fresh_.weights).subspan(begin, size),
                                   [](std::int64_t count) { return std::min(count, kWide); });
        });
  }

  void put_wides(Writer& out, std::uint8_t width) const {
    for (const Tile& tile : tiles_) {
      if (tile.stored) {
        if (tile.wides > 0) held_.columns.wides.put(out, width, tile.wide_at, tile.wides);
        continue;
      }
      for (std::int64_t count : std::span(fresh_.weights).subspan(tile.at, tile.keys)) {
        if (count >= kWide) out.narrow(width, std::span(&count, 1), ending);
      }
    }
  }

  void put_sums(Writer& out) const {
    each_piece(
        tiles_, [&](const Tile& tile) { return held_.has_sums(tile.track); },
        [](const Tile& tile) { return tile.stored ? tile.sum_at : tile.at; },
        [&](bool stored, std::size_t begin, std::size_t size) {
          if (stored) return out.bytes(held_.columns.sums.bytes(begin, begin + size));
          out.column<double>(std::span(fresh_.sums).subspan(begin, size), [](double sum) { return sum; });
        });
  }

  /// Fills the columns of tiles.
  void put_tiles(KeyedTileColumns<FreshKeyed>& columns) const {
    for (NarrowNumbers* column : {&columns.steps_s, &columns.tracks, &columns.keys, &columns.rests}) column->clear();
    columns.rest_sums.clear();
    std::size_t lifetime = 0;
    std::int64_t first_s = 0, before_s = 0;
    for (const Tile& tile : tiles_) {
      if (tile.start_s == 0) {
        ++lifetime;
      } else {
        if (first_s == 0) first_s = before_s = tile.start_s;
        columns.steps_s.add(static_cast<std::uint64_t>(tile.start_s - before_s));
        before_s = tile.start_s;
      }
      columns.tracks.add(static_cast<std::uint64_t>(tile.track));
      columns.keys.add(tile.keys);
      columns.rests.add(static_cast<std::uint64_t>(std::min(tile.rest, kLargest)));
      if (held_.has_sums(tile.track) && tile.rest > 0) columns.rest_sums.push_back(tile.rest_sum);
    }
    need(lifetime <= std::numeric_limits<std::uint16_t>::max());
    columns.tiles = static_cast<std::uint32_t>(tiles_.size());
    columns.lifetime = static_cast<std::uint16_t>(lifetime);
    columns.first_s = static_cast<std::uint32_t>(first_s);
  }

  const Plan& plan_;
  TrackAxes axes_;
  KeyColumns keys_;
  std::vector<std::int64_t> most_keys_;
  std::vector<Tile> tiles_;
  /// What of them the section has, and what was made anew.
  StoredKeyedTiles held_;
  KeyedTable<std::int64_t> fresh_;
  /// Of one fold: the rows of tiles that change, the tiles these come to, and the tiles that do not change.
  KeyedRows<std::int64_t> changing_;
  std::vector<Tile> changed_, unchanged_;
  /// Reused record after record.
  mutable KeyedTileColumns<FreshKeyed> columns_;
};

}  // namespace

std::unique_ptr<Family> make_keyed_tiles(const Plan& plan) { return std::make_unique<KeyedTiles>(plan); }

}  // namespace user_state
