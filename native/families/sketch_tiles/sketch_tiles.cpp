#include "families/sketch_tiles/sketch_tiles.hpp"

#include <algorithm>
#include <cmath>
#include <ranges>
#include <type_traits>

namespace user_state {

namespace {

constexpr std::uint8_t kHigh = 1, kSingle = 2;
constexpr int kTrackBits = 12;
constexpr std::uint32_t kLeastCoupon = 1u << 26;

int track_of(std::int64_t key) { return static_cast<int>(key & ((1 << kTrackBits) - 1)); }
std::int64_t start_of(std::int64_t key) { return key >> kTrackBits; }
std::int64_t key_of(std::int64_t start_s, int track) { return start_s << kTrackBits | track; }

/// Refuses the items of a tile, of which there are some, unless packing makes such.
template <class Item>
void check(const Numbers& items) {
  if constexpr (std::is_integral_v<Item>) {
    need(load<Item>(items.at) >= kLeastCoupon && ascend<Item>(items.at, items.size, true));
  } else {
    need(std::isfinite(items.real(0)) && std::isfinite(items.real(items.size - 1)));
    need(items.width == sizeof(float) ? ascend<float>(items.at, items.size, false)
                                      : ascend<double>(items.at, items.size, false));
  }
}

}  // namespace

bool Numbers::are_single() const {
  if (width == sizeof(float)) return true;
  for (std::uint32_t place = 0; place < size; ++place) {
    if (static_cast<double>(static_cast<float>(real(place))) != real(place)) return false;
  }
  return true;
}

void Numbers::write(Writer& out, std::uint8_t as_width) const {
  if (width == as_width) return out.bytes(bytes());
  auto number = [this](std::uint32_t place) { return real(place); };
  auto places = std::views::iota(0u, size);
  as_width == sizeof(float) ? out.column<float>(places, number) : out.column<double>(places, number);
}

template <class Item>
void SketchTiles<Item>::read(Reader in, const Strings&) {
  constexpr bool kNumbers = std::is_floating_point_v<Item>;
  auto flags = in.take<std::uint8_t>();
  need(flags <= (kNumbers ? kHigh | kSingle : kHigh));
  std::size_t tiles = in.take<std::uint32_t>();
  tiles_.clear(), starts_.clear(), track_of_.clear(), sizes_.clear(), high_.clear(), dense_track_of_.clear();
  fresh_.clear();
  in.column<std::uint32_t>(tiles, starts_);
  in.narrow(track_width(), tiles, track_of_);
  in.column<std::uint8_t>(tiles, sizes_);
  if (flags & kHigh) in.column<std::uint8_t>(tiles, high_);
  const std::uint8_t width = kNumbers && !(flags & kSingle) ? sizeof(double) : sizeof(float);
  for (std::size_t at = 0; at < tiles; ++at) {
    int track = track_of_[at];
    need(static_cast<std::size_t>(track) < tracks_.size());
    std::uint32_t size = sizes_[at] | (flags & kHigh ? high_[at] << 8 : 0);
    Tile tile{key_of(starts_[at], track), {nullptr, size, width}, static_cast<std::uint32_t>(dense_track_of_.size())};
    need(at == 0 || tile.key > tiles_.back().key);
    if (tile.has_sketch()) dense_track_of_.push_back(track);
    tiles_.push_back(tile);
  }
  for (Tile& tile : tiles_) {
    if (tile.has_sketch()) continue;
    tile.items.at = in.bytes(tile.items.bytes().size()).data();
    check<Item>(tile.items);
  }
  read_sketches(in, dense_track_of_, width);
  in.end();
}

template <class Item>
void SketchTiles<Item>::fold(const Arrivals& arrivals, Strings&) {
  axes_.set_clock(arrivals.clock_us);
  lift(arrivals);
  join_all();
}

template <class Item>
void SketchTiles<Item>::absorb(const Family& other, std::span<const int> becomes, std::int64_t clock_us, Strings&) {
  const auto& from = dynamic_cast<const SketchTiles&>(other);
  axes_.set_clock(clock_us);
  for (Tile tile : from.tiles_) {
    int track = becomes[static_cast<std::size_t>(track_of(tile.key))];
    if (track == kGone) continue;
    tile.key = key_of(start_of(tile.key), track);
    if (tile.has_sketch()) tile.sketch = borrow(from, tile.sketch);
    tiles_.push_back(tile);
  }
  arrived_.clear();
  join_all();
}

/// Joins the tiles that there are, and what arrived, where they lie as of the clock.
template <class Item>
void SketchTiles<Item>::join_all() {
  place();
  joined_.clear();
  std::span<const Tile> tiles = tiles_;
  std::span<const Arrived> arrived = arrived_;
  auto take = [](auto& left, std::int64_t key) {
    std::size_t size = 0;
    while (size < left.size() && left[size].key == key) ++size;
    auto taken = left.first(size);
    left = left.subspan(size);
    return taken;
  };
  while (!tiles.empty() || !arrived.empty()) {
    std::int64_t key = tiles.empty()     ? arrived.front().key
                       : arrived.empty() ? tiles.front().key
                                         : std::min(tiles.front().key, arrived.front().key);
    auto held = take(tiles, key);
    join(key, held, take(arrived, key));
  }
  tiles_.swap(joined_);
}

/// Returns a key placed on its track's axis, or kDropped.
template <class Item>
std::int64_t SketchTiles<Item>::placed(std::int64_t key) const {
  int track = track_of(key);
  std::int64_t start_s = axes_.place(track, start_of(key));
  return start_s == TrackAxes::kDropped ? start_s : key_of(start_s, track);
}

/// Gathers one item for every event and track that wants it, placed and in order.
template <class Item>
void SketchTiles<Item>::lift(const Arrivals& arrivals) {
  const Events& events = arrivals.events;
  arrived_.clear();
  for (std::size_t index = 0; index < tracks_.size(); ++index) {
    const SketchTrack& track = tracks_[index];
    for (std::uint32_t row : arrivals.rows) {
      if (!events.matches(track.filter, row) || !events.has(track.of, row)) continue;
      std::int64_t key = placed(key_of(events.second(row), static_cast<int>(index)));
      if (key != TrackAxes::kDropped) arrived_.push_back({key, item_of(events, track.of, row)});
    }
  }
  std::sort(arrived_.begin(), arrived_.end());
}

/// Places the tiles that there are, and has them in order.
template <class Item>
void SketchTiles<Item>::place() {
  std::size_t kept = 0;
  for (Tile& tile : tiles_) {
    tile.key = placed(tile.key);
    if (tile.key != TrackAxes::kDropped) tiles_[kept++] = tile;
  }
  tiles_.resize(kept);
  auto by_key = [](const Tile& a, const Tile& b) { return a.key < b.key; };
  if (!std::is_sorted(tiles_.begin(), tiles_.end(), by_key)) std::stable_sort(tiles_.begin(), tiles_.end(), by_key);
}

/// Adds the tile of all these, which are of one place.
template <class Item>
void SketchTiles<Item>::join(std::int64_t key, std::span<const Tile> held, std::span<const Arrived> added) {
  int track = track_of(key);
  std::size_t most = tracks_[track].most;
  if (held.size() == 1 && added.empty() && held.front().items.size <= most) {
    joined_.push_back(held.front());
    return;
  }
  gather(held, added);
  if (!sketches_.empty() || items_.size() > most) {
    joined_.push_back({key, {}, unite(track, sketches_, items_)});
    return;
  }
  Buffer& bytes = fresh_.add();
  Writer(bytes).bytes({reinterpret_cast<const char*>(items_.data()), sizeof(Item) * items_.size()});
  joined_.push_back({key, {bytes.data(), static_cast<std::uint32_t>(items_.size()), sizeof(Item)}});
}

/// Puts the sketches of tiles side by side, and all items in order.
template <class Item>
void SketchTiles<Item>::gather(std::span<const Tile> held, std::span<const Arrived> added) {
  items_.clear(), sketches_.clear();
  for (const Tile& tile : held) {
    if (tile.has_sketch()) sketches_.push_back(tile.sketch);
    for (std::uint32_t place = 0; place < tile.items.size; ++place) {
      if constexpr (std::is_integral_v<Item>) {
        items_.push_back(load<Item>(tile.items.at + sizeof(Item) * place));
      } else {
        items_.push_back(tile.items.real(place));
      }
    }
  }
  auto arrived = static_cast<std::ptrdiff_t>(items_.size());
  for (const Arrived& one : added) items_.push_back(one.item);
  if (!std::is_sorted(items_.begin(), items_.end())) {
    // What is of one tile is in order already.
    if (held.size() > 1) std::stable_sort(items_.begin(), items_.begin() + arrived);
    std::inplace_merge(items_.begin(), items_.begin() + arrived, items_.end());
  }
  if constexpr (std::is_integral_v<Item>) items_.erase(std::unique(items_.begin(), items_.end()), items_.end());
}

/// Whether all numbers of the record are the same in single precision.
template <class Item>
bool SketchTiles<Item>::single() const {
  if constexpr (std::is_integral_v<Item>) return false;
  return std::ranges::all_of(tiles_, [this](const Tile& tile) {
    return tile.has_sketch() ? is_single(tile.sketch) : tile.items.are_single();
  });
}

template <class Item>
void SketchTiles<Item>::write(Writer& out, const Strings&) const {
  bool as_single = single();
  bool high = std::ranges::any_of(tiles_, [](const Tile& tile) { return tile.items.size > 0xFF; });
  out.put(static_cast<std::uint8_t>((high ? kHigh : 0) | (as_single ? kSingle : 0)));
  out.put(static_cast<std::uint32_t>(tiles_.size()));
  out.column<std::uint32_t>(tiles_, [](const Tile& tile) { return start_of(tile.key); });
  out.narrow(track_width(), tiles_, [](const Tile& tile) { return track_of(tile.key); });
  out.column<std::uint8_t>(tiles_, [](const Tile& tile) { return tile.items.size & 0xFF; });
  if (high) out.column<std::uint8_t>(tiles_, [](const Tile& tile) { return tile.items.size >> 8; });
  const std::uint8_t width = as_single || std::is_integral_v<Item> ? sizeof(float) : sizeof(double);
  write_items(out, width);
  sketches_.clear();
  for (const Tile& tile : tiles_) {
    if (tile.has_sketch()) sketches_.push_back(tile.sketch);
  }
  write_sketches(out, sketches_, width);
}

/// Writes all items, those that lie side by side in one piece.
template <class Item>
void SketchTiles<Item>::write_items(Writer& out, std::uint8_t width) const {
  Numbers piece;
  for (const Tile& tile : tiles_) {
    if (tile.has_sketch()) continue;
    if (tile.items.at == piece.end() && tile.items.width == piece.width) {
      piece.size += tile.items.size;
      continue;
    }
    piece.write(out, width);
    piece = tile.items;
  }
  piece.write(out, width);
}

template class SketchTiles<std::uint32_t>;
template class SketchTiles<double>;

}  // namespace user_state
