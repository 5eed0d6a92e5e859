// Tiles: how many events there were of each track from one edge of its time axis (families/axes.hpp) to the next, and
// what their numbers come to (tile_values.hpp). What events make of them.
//
// Folding, merging and rolling up are one operation: put tiles side by side, place each on its track's time axis as of
// the user's clock, and join those of one place. Where a time lies depends on it and the clock alone, and joining is
// associative and commutative, so neither order nor batches matter, but for how sums round.
//
// Records are long and batches short: buckets (tiles of one start) that neither an event nor the time axis changes are
// never taken apart, but copied from the section, those side by side in one piece. In a record of 3,000 events (16
// tracks, 16 kB) one more event costs 16 us so, and 88 us with all tiles taken apart (-O2, one core).
#include <algorithm>
#include <limits>
#include <optional>

#include "families/tiles/open.hpp"
#include "families/tiles/stored.hpp"

namespace user_state {

namespace {

class Tiles : public OpenTiles {
 public:
  explicit Tiles(const Plan& plan) : plan_(plan), axes_(plan.track_axes), stored_(held_by(plan)) {
    // The plan of another layout, of which tiles are only taken, has no axes.
    if (axes_.axes() == 0) return;
    tracks_of_axis_.resize(axes_.axes(), std::vector<std::uint8_t>(stored_.shape().mask_bytes));
    for (std::size_t track = 0; track < plan.tracks.size(); ++track) {
      auto bit = static_cast<std::uint8_t>(1 << track % 8);
      tracks_of_axis_[axes_.axis_of(static_cast<int>(track))][track / 8] |= bit;
    }
  }

  bool stays(const Arrivals& arrivals, std::int64_t since_us) const override {
    return !arrivals.any_wanted(plan_.tracks) && axes_.same_places(since_us, arrivals.clock_us);
  }

  void read(Reader in, const Strings&) override {
    stored_.read(in);
    tiles_.clear();
    changes_.resize(stored_.buckets());
    for (std::size_t bucket = 0; bucket < changes_.size(); ++bucket) changes_[bucket] = !stored_.is_as_written(bucket);
  }

  void fold(const Arrivals& arrivals, Strings&) override {
    axes_.set_clock(arrivals.clock_us);
    lift(arrivals);
    take_in_arrived();
  }

  void absorb(const Family& family, std::span<const int> becomes, std::int64_t clock_us, Strings&) override {
    const auto& other = static_cast<const Tiles&>(family);
    axes_.set_clock(clock_us);
    arrived_.clear();
    auto take = [&](Tile tile) {
      int track = becomes[tile.track];
      if (track == kGone) return;
      need(stored_.held(track) == other.stored_.held(tile.track), "a track has tiles of another kind");
      tile.start_s = axes_.place(track, tile.start_s);
      if (tile.start_s == TrackAxes::kDropped) return;
      tile.track = track;
      arrived_.push_back(tile);
    };
    for (std::size_t bucket = 0; bucket < other.stored_.buckets(); ++bucket) other.stored_.each_tile(bucket, take);
    put_in_order(arrived_);
    take_in_arrived();
  }

  void write(Writer& out, const Strings&) const override {
    lay_out();
    auto& [buckets, tiles, wide, starts_s, masks, counts, wide_counts, numbers] = written_;
    tiles = 0, wide = 0;
    starts_s.clear(), masks.clear(), counts.clear(), wide_counts.clear();
    for (auto& column : numbers) column.clear();
    std::size_t size = 0;
    for (const Piece& piece : pieces_) {
      size += piece.stored ? piece.end - piece.begin : 1;
      piece.stored ? stored_.copy(piece.begin, piece.end, written_) : put_bucket(piece);
    }
    need(size <= std::numeric_limits<std::uint16_t>::max(), "there are too many tiles");
    buckets = static_cast<std::uint16_t>(size);
    write_columns(out, written_, stored_.shape());
  }

  // All tiles of a record that was folded from nothing on are those that were taken apart: no bucket is stored.
  std::span<const Tile> tiles() const override { return tiles_; }

  std::size_t most_bytes() const override {
    std::size_t mask = stored_.shape().mask_bytes, numbers = stored_.shape().width;
    return kHeadBytes + tiles_.size() * (kStartBytes + mask + kCountBytes + numbers * sizeof(double));
  }

 private:
  /// Of how many buckets, tiles and wide counts there are; of a bucket's start; of a tile's count, if it is a wide one.
  static constexpr std::size_t kHeadBytes = 10, kStartBytes = 4, kCountBytes = 9;

  /// Buckets as they are stored, from one to before another; or tiles of one bucket.
  struct Piece {
    bool stored;
    std::size_t begin, end;
  };

  static std::vector<Held> held_by(const Plan& plan) {
    std::vector<Held> held;
    for (const Track& track : plan.tracks) held.push_back(user_state::held_by(track.kind));
    return held;
  }

  std::span<const Tile> tiles_of(const Piece& piece) const {
    return std::span(tiles_).subspan(piece.begin, piece.end - piece.begin);
  }

  /// Says that the bucket of a start changes, if there is one.
  void change(std::int64_t start_s) {
    std::size_t begin = 0, end = changes_.size();
    while (begin < end) {
      std::size_t middle = (begin + end) / 2;
      stored_.start_s(middle) < start_s ? begin = middle + 1 : end = middle;
    }
    if (begin < changes_.size() && stored_.start_s(begin) == start_s) changes_[begin] = 1;
  }

  /// Says which buckets change because the time axis has tiles of one elsewhere than they are.
  void find_displaced(std::size_t bucket) {
    std::int64_t start_s = stored_.start_s(bucket);
    for (std::size_t axis = 0; axis < tracks_of_axis_.size(); ++axis) {
      if (axes_.stays_on(axis, start_s) || !stored_.has_any(bucket, tracks_of_axis_[axis])) continue;
      changes_[bucket] = 1;
      change(axes_.place_on(axis, start_s));
    }
  }

  /// Puts tiles in order, those of one place as they came.
  static void put_in_order(std::vector<Tile>& tiles) {
    if (!std::is_sorted(tiles.begin(), tiles.end())) std::stable_sort(tiles.begin(), tiles.end());
  }

  /// Places the tiles that were taken apart on the time axis of their tracks, and has them in order.
  void place() {
    std::size_t kept = 0;
    for (const Tile& tile : tiles_) {
      std::int64_t start_s = axes_.place(tile.track, tile.start_s);
      if (start_s == TrackAxes::kDropped) continue;
      if (&tiles_[kept] != &tile) tiles_[kept] = tile;
      tiles_[kept++].start_s = start_s;
    }
    tiles_.resize(kept);
    put_in_order(tiles_);
  }

  /// Joins what arrived, which is placed and in order, with what there is, placed as of the same clock.
  void take_in_arrived() {
    for (const Tile& tile : arrived_) change(tile.start_s);
    for (std::size_t bucket = 0; bucket < changes_.size(); ++bucket) find_displaced(bucket);
    for (std::size_t bucket = 0; bucket < changes_.size(); ++bucket) {
      if (!changes_[bucket]) continue;
      std::size_t next = tiles_.size();
      tiles_.resize(next + stored_.tiles(bucket));
      stored_.each_tile(bucket, [&](const Tile& tile) { tiles_[next++] = tile; });
    }
    place();
    merge_arrived();
    std::size_t joined = 0;
    for (std::size_t begin = 0, end; begin < tiles_.size(); begin = end) {
      end = begin + 1;
      while (end < tiles_.size() && tiles_[end].same_place(tiles_[begin])) ++end;
      if (end > begin + 1) {
        tiles_[joined++] = join({&tiles_[begin], end - begin}, stored_.held(tiles_[begin].track));
      } else {
        if (begin != joined) tiles_[joined] = tiles_[begin];
        ++joined;
      }
    }
    tiles_.resize(joined);
  }

  /// Merges what arrived into the tiles, from the end, so that nothing older is moved.
  void merge_arrived() {
    std::size_t from = tiles_.size(), to = from + arrived_.size();
    tiles_.resize(to);
    for (; !arrived_.empty(); --to) {
      if (from > 0 && arrived_.back() < tiles_[from - 1]) {
        tiles_[to - 1] = tiles_[--from];
      } else {
        tiles_[to - 1] = arrived_.back();
        arrived_.pop_back();
      }
    }
  }

  /// Takes a tile for every event and track that wants it, placed and in order; those of one place that follow each
  /// other are joined at once where that makes no difference.
  void lift(const Arrivals& arrivals) {
    arrived_.clear();
    const Events& events = arrivals.events;
    for (std::size_t index = 0; index < plan_.tracks.size(); ++index) {
      const Track& track = plan_.tracks[index];
      Held held = stored_.held(static_cast<int>(index));
      for (std::uint32_t row : arrivals.rows) {
        if (!takes(track, events, row)) continue;
        double number = track.of ? events.number(*track.of, row) : 0.0;
        std::int64_t start_s = axes_.place(static_cast<int>(index), events.second(row));
        if (start_s == TrackAxes::kDropped) continue;
        Tile tile{start_s, static_cast<int>(index), 1, {}};
        if (track.of && columns_of(held) > 0) tile.values[0] = number;
        if (held == Held::kTimes) tile.values[0] = tile.values[1] = static_cast<double>(events.time_us(row));
        if (held == Held::kLogSum) tile.values[0] = log_of(number);
        bool joins = adds_exactly(held) && !arrived_.empty() && arrived_.back().same_place(tile);
        joins ? add_exactly(arrived_.back(), tile, held) : arrived_.push_back(tile);
      }
    }
    put_in_order(arrived_);
  }

  /// Puts stored buckets that do not change and those of tiles in order, the former in as few pieces as may be.
  void lay_out() const {
    pieces_.clear();
    std::size_t tile = 0;
    for (std::size_t bucket = 0; bucket <= changes_.size(); ++bucket) {
      if (bucket < changes_.size() && changes_[bucket]) continue;
      while (tile < tiles_.size() && (bucket == changes_.size() || tiles_[tile].start_s < stored_.start_s(bucket))) {
        std::size_t begin = tile;
        while (tile < tiles_.size() && tiles_[tile].start_s == tiles_[begin].start_s) ++tile;
        pieces_.push_back({false, begin, tile});
      }
      if (bucket == changes_.size()) break;
      if (!pieces_.empty() && pieces_.back().stored && pieces_.back().end == bucket) {
        ++pieces_.back().end;
      } else {
        pieces_.push_back({true, bucket, bucket + 1});
      }
    }
  }

  void put_bucket(const Piece& piece) const {
    written_.starts_s.put(static_cast<std::uint32_t>(tiles_[piece.begin].start_s));
    std::size_t next = piece.begin;
    for (std::size_t byte = 0; byte < stored_.shape().mask_bytes; ++byte) {
      unsigned mask = 0;
      for (; next < piece.end && static_cast<std::size_t>(tiles_[next].track) / 8 == byte; ++next) {
        mask |= 1u << tiles_[next].track % 8;
      }
      written_.masks.put(static_cast<std::uint8_t>(mask));
    }
    constexpr std::uint8_t kWide = TileColumns<Pieced>::kWide;
    for (const Tile& tile : tiles_of(piece)) {
      ++written_.tiles;
      written_.counts.put(static_cast<std::uint8_t>(std::min<std::int64_t>(tile.count, kWide)));
      if (tile.count >= kWide) {
        need(tile.count < kTooLarge, "a tile has too many events");
        ++written_.wide;
        written_.wide_counts.put(static_cast<std::uint64_t>(tile.count));
      }
      for (std::size_t at = 0; at < stored_.numbers(tile.track); ++at) written_.numbers[at].put(tile.values[at]);
    }
  }

  const Plan& plan_;
  TrackAxes axes_;
  /// Of each axis a mask of its tracks.
  std::vector<std::vector<std::uint8_t>> tracks_of_axis_;
  StoredTiles stored_;
  /// Which stored buckets change.
  std::vector<std::uint8_t> changes_;
  /// Tiles of buckets that change, and what arrived.
  std::vector<Tile> tiles_, arrived_;
  mutable std::vector<Piece> pieces_;
  /// Reused record after record.
  mutable TileColumns<Pieced> written_;
};

}  // namespace

std::unique_ptr<Family> make_tiles(const Plan& plan) { return std::make_unique<Tiles>(plan); }

}  // namespace user_state
