// Tiles: user_state/core/tiles.py says what they are, core/tile_values.py what they hold, codec/tiles.py their bytes.
//
// Records are long and batches short: buckets (tiles of one start) that neither an event nor the time axis changes are
// never taken apart, but copied from the section, those side by side in one piece. That halved what one event costs here
// in a record of a thousand tiles.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <optional>

#include "families/family.hpp"
#include "families/tiles/tile_values.hpp"

namespace user_state {

namespace {

constexpr std::uint8_t kWide = 255;
constexpr std::size_t kMostColumns = 4;

/// Bits set in a byte; x86-64 at its oldest, which this is built for, has no instruction for it.
constexpr auto kOnes = [] {
  std::array<std::uint8_t, 256> ones{};
  for (unsigned byte = 0; byte < ones.size(); ++byte) ones[byte] = static_cast<std::uint8_t>(std::popcount(byte));
  return ones;
}();

/// What becomes of a stored bucket: it is copied, it changes, or it is among the tiles already.
enum class Becomes : std::uint8_t { kStored, kChanged, kApart };

class Tiles : public Family {
 public:
  explicit Tiles(const Plan& plan) : plan_(plan), axes_(plan.track_axes), mask_width_((plan.tracks.size() + 7) / 8) {
    known_.resize(mask_width_);
    for (auto& holding : holding_) holding.resize(mask_width_);
    for (std::size_t track = 0; track < plan.tracks.size(); ++track) {
      Held held = held_by(plan.tracks[track].kind);
      held_.push_back(held);
      auto bit = static_cast<std::uint8_t>(1 << track % 8);
      known_[track / 8] |= bit;
      for (int column = 0; column < columns_of(held); ++column) holding_[column][track / 8] |= bit;
      width_ = std::max(width_, static_cast<std::size_t>(columns_of(held)));
    }
  }

  void read(Reader in, const Strings&) override {
    buckets_.clear(), changes_.clear(), tiles_.clear();
    if (held_.empty()) return in.end();
    std::size_t buckets = in.take<std::uint16_t>(), entries = in.take<std::uint32_t>(), wide = in.take<std::uint32_t>();
    starts_ = in.packed<std::uint32_t>(buckets);
    masks_ = in.packed<std::uint8_t>(mask_width_ * buckets);
    read_buckets(buckets);
    const Bucket& end = buckets_.back();
    need(end.entry == entries);
    counts_ = in.packed<std::uint8_t>(entries);
    wides_ = in.packed<std::int64_t>(wide);
    read_counts(wide);
    for (std::size_t column = 0; column < width_; ++column) values_[column] = in.packed<double>(end.values[column]);
    in.end();
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
    other.each_tile([&](Tile tile) {
      int track = becomes[tile.track];
      if (track == kGone) return;
      need(held_[track] == other.held_[tile.track]);
      tile.start_s = axes_.place(track, tile.start_s);
      if (tile.start_s == TrackAxes::kDropped) return;
      tile.track = track;
      arrived_.push_back(tile);
    });
    put_in_order(arrived_);
    take_in_arrived();
  }

  void write(Writer& out, const Strings&) const override {
    if (held_.empty()) return;
    lay_out();
    std::size_t buckets = 0, entries = 0, wide = 0;
    for (const Piece& piece : pieces_) {
      if (piece.stored) {
        const Bucket &begin = buckets_[piece.begin], &end = buckets_[piece.end];
        buckets += piece.end - piece.begin, entries += end.entry - begin.entry, wide += end.wide - begin.wide;
      } else {
        ++buckets, entries += piece.end - piece.begin;
        for (const Tile& tile : tiles_of(piece)) wide += tile.count >= kWide;
      }
    }
    need(buckets <= std::numeric_limits<std::uint16_t>::max());
    out.put(static_cast<std::uint16_t>(buckets));
    out.put(static_cast<std::uint32_t>(entries));
    out.put(static_cast<std::uint32_t>(wide));
    for (const Piece& piece : pieces_) {
      if (piece.stored) {
        out.bytes(starts_.bytes(piece.begin, piece.end));
      } else {
        out.put(static_cast<std::uint32_t>(tiles_[piece.begin].start_s));
      }
    }
    for (const Piece& piece : pieces_) {
      piece.stored ? out.bytes(masks_.bytes(mask_width_ * piece.begin, mask_width_ * piece.end)) : put_mask(out, piece);
    }
    for (const Piece& piece : pieces_) {
      if (piece.stored) {
        out.bytes(counts_.bytes(buckets_[piece.begin].entry, buckets_[piece.end].entry));
      } else {
        out.column<std::uint8_t>(tiles_of(piece), [](const Tile& tile) { return std::min<std::int64_t>(tile.count, kWide); });
      }
    }
    for (const Piece& piece : pieces_) {
      if (piece.stored) {
        out.bytes(wides_.bytes(buckets_[piece.begin].wide, buckets_[piece.end].wide));
        continue;
      }
      for (const Tile& tile : tiles_of(piece)) {
        if (tile.count < kWide) continue;
        need(tile.count < kTooLarge);
        out.put(tile.count);
      }
    }
    for (std::size_t column = 0; column < width_; ++column) {
      for (const Piece& piece : pieces_) {
        if (piece.stored) {
          out.bytes(values_[column].bytes(buckets_[piece.begin].values[column], buckets_[piece.end].values[column]));
          continue;
        }
        for (const Tile& tile : tiles_of(piece)) {
          if (has(column, tile.track)) out.put(tile.values[column]);
        }
      }
    }
  }

 private:
  /// Where in the section's columns a bucket begins.
  struct Bucket {
    std::uint32_t entry = 0, wide = 0;
    std::array<std::uint32_t, kMostColumns> values{};
  };
  /// Buckets as they are stored, from one to before another; or tiles of one bucket.
  struct Piece {
    bool stored;
    std::size_t begin, end;
  };

  bool has(std::size_t column, int track) const { return holding_[column][track / 8] >> track % 8 & 1; }
  std::span<const Tile> tiles_of(const Piece& piece) const {
    return std::span(tiles_).subspan(piece.begin, piece.end - piece.begin);
  }

  /// Calls `see(track)` for every tile of a stored bucket.
  template <class See>
  void each_track(std::size_t bucket, See see) const {
    for (std::size_t byte = 0; byte < mask_width_; ++byte) {
      for (unsigned left = masks_[mask_width_ * bucket + byte]; left != 0; left &= left - 1) {
        see(static_cast<int>(8 * byte) + std::countr_zero(left));
      }
    }
  }

  /// Finds where each bucket begins, and where the last one ends, but for wide counts.
  void read_buckets(std::size_t buckets) {
    changes_.assign(buckets, Becomes::kStored);
    Bucket next;
    buckets_.push_back(next);
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
      need(bucket == 0 || starts_[bucket] > starts_[bucket - 1]);
      for (std::size_t byte = 0; byte < mask_width_; ++byte) {
        std::uint8_t bits = masks_[mask_width_ * bucket + byte];
        need((bits & ~known_[byte]) == 0);
        next.entry += kOnes[bits];
        for (std::size_t column = 0; column < width_; ++column) next.values[column] += kOnes[bits & holding_[column][byte]];
      }
      // One without tiles is not written again.
      if (next.entry == buckets_.back().entry) changes_[bucket] = Becomes::kChanged;
      buckets_.push_back(next);
    }
  }

  void read_counts(std::size_t wide) {
    std::uint32_t met = 0;
    for (std::size_t bucket = 0; bucket < changes_.size(); ++bucket) {
      for (std::uint32_t entry = buckets_[bucket].entry; entry < buckets_[bucket + 1].entry; ++entry) {
        need(counts_[entry] > 0);
        if (counts_[entry] < kWide) continue;
        need(met < wide && wides_[met] > 0 && wides_[met] < kTooLarge);
        // What is not wide at all is written in another way.
        if (wides_[met++] < kWide) changes_[bucket] = Becomes::kChanged;
      }
      buckets_[bucket + 1].wide = met;
    }
    need(met == wide);
  }

  /// Says that the bucket of a start changes, if there is one.
  void change(std::int64_t start_s) {
    std::size_t begin = 0, end = changes_.size();
    while (begin < end) {
      std::size_t middle = (begin + end) / 2;
      starts_[middle] < start_s ? begin = middle + 1 : end = middle;
    }
    if (begin == changes_.size() || starts_[begin] != start_s) return;
    if (changes_[begin] == Becomes::kStored) changes_[begin] = Becomes::kChanged;
  }

  /// Says which buckets change because the time axis has tiles of one elsewhere than they are.
  void find_displaced(std::size_t bucket) {
    if (changes_[bucket] == Becomes::kApart) return;
    std::int64_t start_s = starts_[bucket];
    each_track(bucket, [&](int track) {
      std::int64_t placed_s = axes_.place(track, start_s);
      if (placed_s == start_s) return;
      changes_[bucket] = Becomes::kChanged;
      change(placed_s);
    });
  }

  /// Calls `see(tile)` for every tile of a stored bucket.
  template <class See>
  void take_apart(std::size_t bucket, See see) const {
    Bucket at = buckets_[bucket];
    each_track(bucket, [&](int track) {
      Tile tile{starts_[bucket], track, counts_[at.entry++], {}};
      if (tile.count == kWide) tile.count = wides_[at.wide++];
      for (std::size_t column = 0; column < width_ && has(column, track); ++column) {
        tile.values[column] = values_[column][at.values[column]++];
      }
      see(tile);
    });
  }

  /// Calls `see(tile)` for every tile.
  template <class See>
  void each_tile(See see) const {
    for (std::size_t bucket = 0; bucket < changes_.size(); ++bucket) {
      if (changes_[bucket] != Becomes::kApart) take_apart(bucket, see);
    }
    for (const Tile& tile : tiles_) see(tile);
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
    for (const Tile& tile : tiles_) change(axes_.place(tile.track, tile.start_s));
    for (std::size_t bucket = 0; bucket < changes_.size(); ++bucket) find_displaced(bucket);
    for (std::size_t bucket = 0; bucket < changes_.size(); ++bucket) {
      if (changes_[bucket] != Becomes::kChanged) continue;
      take_apart(bucket, [this](const Tile& tile) { tiles_.push_back(tile); });
      changes_[bucket] = Becomes::kApart;
    }
    place();
    merge_arrived();
    std::size_t joined = 0;
    for (std::size_t begin = 0, end; begin < tiles_.size(); begin = end) {
      end = begin + 1;
      while (end < tiles_.size() && tiles_[end].same_place(tiles_[begin])) ++end;
      if (end > begin + 1) {
        tiles_[joined++] = join({&tiles_[begin], end - begin}, held_[tiles_[begin].track]);
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

  /// Takes a tile for every event and track that wants it, placed and in order; those of one place that follow each other
  /// are joined at once where that makes no difference.
  void lift(const Arrivals& arrivals) {
    arrived_.clear();
    const Events& events = arrivals.events;
    for (std::size_t index = 0; index < plan_.tracks.size(); ++index) {
      const Track& track = plan_.tracks[index];
      for (std::uint32_t row : arrivals.rows) {
        if (!events.matches(track.filter, row)) continue;
        double number = 0;
        if (track.of) {
          if (!events.has(*track.of, row)) continue;
          number = events.number(*track.of, row);
          if (track.between && !(number >= track.between->first && number < track.between->second)) continue;
        }
        std::int64_t start_s = axes_.place(static_cast<int>(index), events.second(row));
        if (start_s == TrackAxes::kDropped) continue;
        Tile tile{start_s, static_cast<int>(index), 1, {}};
        if (track.of && columns_of(held_[index]) > 0) tile.values[0] = number;
        if (held_[index] == Held::kTimes) tile.values[1] = number;
        if (held_[index] == Held::kLogSum) tile.values[0] = log_of(number);
        bool joins = adds_exactly(held_[index]) && !arrived_.empty() && arrived_.back().same_place(tile);
        joins ? add_exactly(arrived_.back(), tile, held_[index]) : arrived_.push_back(tile);
      }
    }
    put_in_order(arrived_);
  }

  /// Puts stored buckets that do not change and those of tiles in order, the former in as few pieces as may be.
  void lay_out() const {
    pieces_.clear();
    std::size_t tile = 0;
    for (std::size_t bucket = 0; bucket <= changes_.size(); ++bucket) {
      if (bucket < changes_.size() && changes_[bucket] != Becomes::kStored) continue;
      while (tile < tiles_.size() && (bucket == changes_.size() || tiles_[tile].start_s < starts_[bucket])) {
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

  void put_mask(Writer& out, const Piece& piece) const {
    char* mask = out.room(mask_width_);
    std::memset(mask, 0, mask_width_);
    for (const Tile& tile : tiles_of(piece)) mask[tile.track / 8] |= static_cast<char>(1 << tile.track % 8);
  }

  const Plan& plan_;
  TrackAxes axes_;
  std::vector<Held> held_;
  std::size_t mask_width_;
  /// How many values the tiles of a track have that have most.
  std::size_t width_ = 0;
  /// Masks: of all tracks, and of those that keep so many numbers.
  std::vector<std::uint8_t> known_;
  std::array<std::vector<std::uint8_t>, kMostColumns> holding_;
  /// The section's columns, where its buckets begin in them and the last one ends, and what becomes of each.
  Packed<std::uint32_t> starts_;
  Packed<std::uint8_t> masks_, counts_;
  Packed<std::int64_t> wides_;
  std::array<Packed<double>, kMostColumns> values_;
  std::vector<Bucket> buckets_;
  std::vector<Becomes> changes_;
  /// Tiles of buckets that change, and what arrived.
  std::vector<Tile> tiles_, arrived_;
  mutable std::vector<Piece> pieces_;
};

}  // namespace

std::unique_ptr<Family> make_tiles(const Plan& plan) { return std::make_unique<Tiles>(plan); }

}  // namespace user_state
