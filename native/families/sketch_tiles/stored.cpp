#include "families/sketch_tiles/stored.hpp"

#include <cmath>

namespace user_state {

bool Numbers::are_single() const {
  if (width == sizeof(float)) return true;
  for (std::uint32_t place = 0; place < size; ++place) {
    if (static_cast<double>(static_cast<float>(real(place))) != real(place)) return false;
  }
  return true;
}

bool Numbers::are_in_order() const {
  if (size == 0) return true;
  if (!std::isfinite(real(0)) || !std::isfinite(real(size - 1))) return false;
  return width == sizeof(float) ? ascend<float>(at, size, false) : ascend<double>(at, size, false);
}

void take_tiles(const SketchTileColumns<Stored>& columns, std::size_t tracks, const char* items, std::uint8_t width,
                std::vector<SketchTile>& tiles) {
  tiles.clear();
  std::uint32_t sketches = 0;
  for (std::size_t at = 0; at < columns.tiles; ++at) {
    std::size_t track = columns.track(at);
    need(track < tracks, "a tile is of a track that there is not");
    auto size = static_cast<std::uint32_t>(columns.sizes[at]);
    SketchTile tile{SketchTile::key_of(columns.starts_s[at], static_cast<int>(track)), {items, size, width}, 0};
    need(tiles.empty() || tile.key > tiles.back().key, "tiles are not in order");
    if (tile.has_sketch()) tile.sketch = sketches++;
    items = tile.items.end();
    tiles.push_back(tile);
  }
}

void put_tiles(const std::vector<SketchTile>& tiles, std::size_t tracks, SketchTileColumns<FreshSketches>& columns) {
  columns.tiles = static_cast<std::uint32_t>(tiles.size());
  columns.starts_s.clear(), columns.few_tracks.clear(), columns.many_tracks.clear(), columns.sizes.clear();
  for (const SketchTile& tile : tiles) {
    columns.starts_s.push_back(static_cast<std::uint32_t>(tile.start_s()));
    if (tracks > columns.kFew) {
      columns.many_tracks.push_back(static_cast<std::uint16_t>(tile.track()));
    } else if (tracks > 1) {
      columns.few_tracks.push_back(static_cast<std::uint8_t>(tile.track()));
    }
    columns.sizes.push_back(tile.items.size);
  }
  columns.flags = columns.sizes.flags();
}

}  // namespace user_state
