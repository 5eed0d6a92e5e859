// Tiles: user_state/core/tiles.py says what they are, core/tile_values.py what they hold, codec/tiles.py their bytes.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "family.hpp"
#include "sums.hpp"

namespace user_state {

namespace {

constexpr std::uint8_t kWide = 255;

/// What a track's tiles hold beside their count.
enum class Held : std::uint8_t { kNothing, kSum, kMin, kMax, kTimes, kVariance, kMoments };

Held held_by(const std::string& kind) {
  if (kind == "count") return Held::kNothing;
  if (kind == "sum") return Held::kSum;
  if (kind == "min") return Held::kMin;
  if (kind == "max") return Held::kMax;
  if (kind == "times") return Held::kTimes;
  return kind == "variance" ? Held::kVariance : Held::kMoments;
}

int columns_of(Held held) {
  switch (held) {
    case Held::kNothing: return 0;
    case Held::kTimes:
    case Held::kVariance: return 2;
    case Held::kMoments: return 4;
    default: return 1;
  }
}

struct Tile {
  std::int64_t start_s;
  int track;
  std::int64_t count;
  std::array<double, 4> values;

  bool operator<(const Tile& other) const {
    return start_s != other.start_s ? start_s < other.start_s : track < other.track;
  }
  bool same_place(const Tile& other) const { return start_s == other.start_s && track == other.track; }
};

/// Returns the tile of all these, which are of one place.
Tile join(std::span<const Tile> tiles, Held held) {
  Tile whole = tiles.front();
  auto sum = [&](auto number) { return reduced(tiles.size(), [&](std::size_t at) { return number(tiles[at]); }); };
  for (const Tile& tile : tiles.subspan(1)) {
    whole.count += tile.count;
    if (held == Held::kMin || held == Held::kTimes) whole.values[0] = std::min(whole.values[0], tile.values[0]);
    if (held == Held::kMax) whole.values[0] = std::max(whole.values[0], tile.values[0]);
    if (held == Held::kTimes) whole.values[1] = std::max(whole.values[1], tile.values[1]);
  }
  bool central = held == Held::kVariance || held == Held::kMoments;
  if (central || held == Held::kSum) whole.values[0] = sum([](const Tile& tile) { return tile.values[0]; });
  if (!central) return whole;
  // Pebay 2008: central moments add up once each is moved to the mean of the whole.
  double mean = whole.values[0] / static_cast<double>(whole.count);
  auto moved = [&](int moment, auto correction) {
    return sum([&](const Tile& tile) { return tile.values[moment]; }) + sum([&](const Tile& tile) {
             auto n = static_cast<double>(tile.count);
             return correction(tile, n, tile.values[0] / n - mean);
           });
  };
  whole.values[1] = moved(1, [](const Tile&, double n, double d) { return n * d * d; });
  if (held == Held::kVariance) return whole;
  whole.values[2] = moved(2, [](const Tile& t, double n, double d) { return 3 * d * t.values[1] + n * (d * d * d); });
  whole.values[3] = moved(3, [](const Tile& t, double n, double d) {
    return 4 * d * t.values[2] + 6 * d * d * t.values[1] + n * std::pow(d, 4);
  });
  return whole;
}

class Tiles : public Family {
 public:
  explicit Tiles(const Plan& plan) : plan_(plan), axes_(plan.track_axes) {
    for (const Track& track : plan.tracks) held_.push_back(held_by(track.kind));
    for (Held held : held_) columns_.push_back(static_cast<std::uint8_t>(columns_of(held)));
    for (std::uint8_t columns : columns_) width_ = std::max<int>(width_, columns);
  }

  void read(Reader in, const Strings&) override {
    tiles_.clear();
    if (held_.empty()) return in.end();
    std::size_t buckets = in.take<std::uint16_t>(), entries = in.take<std::uint32_t>(), wide = in.take<std::uint32_t>();
    starts_.clear();
    in.column<std::uint32_t>(buckets, starts_);
    for (std::size_t bucket = 0; bucket < buckets; ++bucket) {
      need(bucket == 0 || starts_[bucket] > starts_[bucket - 1]);
      std::string_view mask = in.bytes(mask_width());
      for (std::size_t byte = 0; byte < mask.size(); ++byte) {
        for (unsigned left = static_cast<std::uint8_t>(mask[byte]); left != 0; left &= left - 1) {
          std::size_t track = 8 * byte + static_cast<std::size_t>(std::countr_zero(left));
          need(track < held_.size());
          // Field by field: copied at once, they would have to wait for each other.
          Tile& tile = tiles_.emplace_back();
          tile.start_s = starts_[bucket];
          tile.track = static_cast<int>(track);
        }
      }
    }
    need(tiles_.size() == entries);
    auto counts = in.packed<std::uint8_t>(entries);
    for (std::size_t at = 0; at < entries; ++at) tiles_[at].count = counts[at];
    for (Tile& tile : tiles_) {
      if (tile.count == kWide) {
        need(wide-- > 0);
        tile.count = in.take<std::int64_t>();
      }
      need(tile.count > 0 && tile.count < kTooLarge);
    }
    need(wide == 0);
    auto values = in.packed<double>(values_held());
    std::size_t next = 0;
    for (int column = 0; column < width_; ++column) {
      for (Tile& tile : tiles_) {
        if (column < columns_[tile.track]) tile.values[column] = values[next++];
      }
    }
    in.end();
  }

  void fold(const Arrivals& arrivals, Strings&) override {
    axes_.set_clock(arrivals.clock_us);
    place(tiles_);
    lift(arrivals);
    place(arrived_);
    take_in_arrived();
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

  void write(Writer& out, const Strings&) const override {
    if (held_.empty()) return;
    const std::size_t width = mask_width();
    std::size_t wide = 0, buckets = 0;
    std::string starts, masks;
    Writer starts_out(starts);
    for (std::size_t at = 0; at < tiles_.size(); ++at) {
      const Tile& tile = tiles_[at];
      if (at == 0 || tile.start_s != tiles_[at - 1].start_s) {
        ++buckets;
        starts_out.put(static_cast<std::uint32_t>(tile.start_s));
        masks.append(width, '\0');
      }
      masks[masks.size() - width + tile.track / 8] |= static_cast<char>(1 << tile.track % 8);
      wide += tile.count >= kWide;
    }
    need(buckets <= std::numeric_limits<std::uint16_t>::max());
    out.put(static_cast<std::uint16_t>(buckets));
    out.put(static_cast<std::uint32_t>(tiles_.size()));
    out.put(static_cast<std::uint32_t>(wide));
    out.bytes(starts);
    out.bytes(masks);
    out.column<std::uint8_t>(tiles_, [](const Tile& tile) { return std::min<std::int64_t>(tile.count, kWide); });
    for (const Tile& tile : tiles_) {
      if (tile.count >= kWide) out.put(tile.count);
    }
    char* to = out.room(sizeof(double) * values_held());
    for (int column = 0; column < width_; ++column) {
      for (const Tile& tile : tiles_) {
        if (column >= columns_[tile.track]) continue;
        std::memcpy(to, &tile.values[column], sizeof(double));
        to += sizeof(double);
      }
    }
  }

 private:
  std::size_t mask_width() const { return (held_.size() + 7) / 8; }

  /// How many values all tiles have together.
  std::size_t values_held() const {
    std::size_t values = 0;
    for (const Tile& tile : tiles_) values += columns_[tile.track];
    return values;
  }

  /// Places tiles on the time axis of their tracks, and has them in order.
  void place(std::vector<Tile>& tiles) const {
    std::size_t kept = 0;
    for (const Tile& tile : tiles) {
      std::int64_t start_s = axes_.place(tile.track, tile.start_s);
      if (start_s == TrackAxes::kDropped) continue;
      if (&tiles[kept] != &tile) tiles[kept] = tile;
      tiles[kept++].start_s = start_s;
    }
    tiles.resize(kept);
    // Stored ones mostly are: ages ascend with tiles.
    if (!std::is_sorted(tiles.begin(), tiles.end())) std::stable_sort(tiles.begin(), tiles.end());
  }

  /// Merges what arrived into the tiles, from the end, so that nothing older is moved.
  void take_in_arrived() {
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

  /// Takes a tile of its own, one second wide, for every event and track that wants it.
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
        Tile tile{events.second(row), static_cast<int>(index), 1, {}};
        if (track.of && columns_of(held_[index]) > 0) tile.values[0] = number;
        if (held_[index] == Held::kTimes) tile.values[1] = number;
        arrived_.push_back(tile);
      }
    }
  }

  const Plan& plan_;
  TrackAxes axes_;
  std::vector<Held> held_;
  /// How many values the tiles of each track have, and how many those that have most.
  std::vector<std::uint8_t> columns_;
  int width_ = 0;
  std::vector<Tile> tiles_, arrived_;
  std::vector<std::int64_t> starts_;
};

}  // namespace

std::unique_ptr<Family> make_tiles(const Plan& plan) { return std::make_unique<Tiles>(plan); }

}  // namespace user_state
