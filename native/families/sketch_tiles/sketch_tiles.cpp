#include "families/sketch_tiles/sketch_tiles.hpp"

#include <algorithm>
#include <type_traits>

namespace user_state {

template <class Item>
bool SketchTiles<Item>::stays(const Arrivals& arrivals, std::int64_t since_us) const {
  return !arrivals.any_wanted(tracks_) && axes_.same_places(since_us, arrivals.clock_us);
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
  for (SketchTile tile : from.tiles_) {
    int track = becomes[static_cast<std::size_t>(tile.track())];
    if (track == kGone) continue;
    tile.key = SketchTile::key_of(tile.start_s(), track);
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
  std::span<const SketchTile> tiles = tiles_;
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
  int track = SketchTile::track_of(key);
  std::int64_t start_s = axes_.place(track, SketchTile::start_of(key));
  return start_s == TrackAxes::kDropped ? start_s : SketchTile::key_of(start_s, track);
}

/// Gathers one item for every event and track that wants it, placed and in order.
template <class Item>
void SketchTiles<Item>::lift(const Arrivals& arrivals) {
  const Events& events = arrivals.events;
  arrived_.clear();
  for (std::size_t index = 0; index < tracks_.size(); ++index) {
    const SketchTrack& track = tracks_[index];
    for (std::uint32_t row : arrivals.rows) {
      if (!passes(track.filter, track.of, events, row)) continue;
      std::int64_t key = placed(SketchTile::key_of(events.second(row), static_cast<int>(index)));
      if (key != TrackAxes::kDropped) arrived_.push_back({key, item_of(events, track.of, row)});
    }
  }
  std::sort(arrived_.begin(), arrived_.end());
}

/// Places the tiles that there are, and has them in order.
template <class Item>
void SketchTiles<Item>::place() {
  std::size_t kept = 0;
  for (SketchTile& tile : tiles_) {
    if (!axes_.stays_on(axes_.axis_of(tile.track()), tile.start_s())) tile.key = placed(tile.key);
    if (tile.key == TrackAxes::kDropped) continue;
    if (&tiles_[kept] != &tile) tiles_[kept] = tile;
    ++kept;
  }
  tiles_.resize(kept);
  auto by_key = [](const SketchTile& a, const SketchTile& b) { return a.key < b.key; };
  if (!std::is_sorted(tiles_.begin(), tiles_.end(), by_key)) std::stable_sort(tiles_.begin(), tiles_.end(), by_key);
}

/// Adds the tile of all these, which are of one place.
template <class Item>
void SketchTiles<Item>::join(std::int64_t key, std::span<const SketchTile> held, std::span<const Arrived> added) {
  int track = SketchTile::track_of(key);
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
  Buffer& bytes = new_.add();
  Writer(bytes).bytes({reinterpret_cast<const char*>(items_.data()), sizeof(Item) * items_.size()});
  joined_.push_back({key, {bytes.data(), static_cast<std::uint32_t>(items_.size()), sizeof(Item)}});
}

/// Puts the sketches of tiles side by side, and all items in order.
template <class Item>
void SketchTiles<Item>::gather(std::span<const SketchTile> held, std::span<const Arrived> added) {
  items_.clear(), sketches_.clear();
  for (const SketchTile& tile : held) {
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

template class SketchTiles<std::uint32_t>;
template class SketchTiles<double>;

}  // namespace user_state
