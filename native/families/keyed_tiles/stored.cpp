#include "families/keyed_tiles/stored.hpp"

namespace user_state {

namespace {

constexpr std::uint64_t kEndOfTime = std::uint64_t{1} << 32;

}  // namespace

void StoredKeyedTiles::read(Reader in, std::size_t strings, std::vector<KeyedTile>& tiles) {
  // A tile takes a byte at least: none of them may be of zeros throughout.
  std::size_t length = in.left();
  std::size_t claimed = Reader(in).take<std::uint32_t>();
  need(claimed > 0 && claimed <= length, "more tiles than there is room for");
  read_columns(in, columns, shape_);
  take_tiles(length, tiles);
  keys.read(columns.texts, columns.numbers, tiles, strings);
  take_counts(tiles);
  std::size_t rest = 0;
  for (KeyedTile& tile : tiles) {
    if (has_sums(tile.track) && tile.rest > 0) tile.rest_sum = columns.rest_sums[rest++];
  }
}

void StoredKeyedTiles::take_tiles(std::size_t length, std::vector<KeyedTile>& tiles) const {
  std::uint64_t start_s = columns.first_s;
  GroupName before{-1, 0};
  std::uint32_t rows = 0, sums = 0;
  std::size_t left = length;
  for (std::size_t at = 0; at < columns.tiles; ++at) {
    if (at >= columns.lifetime) {
      std::uint64_t step_s = columns.steps_s[at - columns.lifetime];
      need(step_s < kEndOfTime, "a tile that begins too late");
      start_s += step_s;
      need(start_s > 0 && start_s < kEndOfTime, "a tile that begins too late");
    }
    std::uint64_t keys_of = columns.keys[at], rest = columns.rests[at];
    need(keys_of <= kMostKeys && keys_of <= left, "a tile with too many keys");
    need(rest <= static_cast<std::uint64_t>(kLargest) && keys_of + rest > 0, "a tile of nothing, or of too much");
    left -= keys_of;
    GroupName name{at < columns.lifetime ? 0 : static_cast<std::int64_t>(start_s), static_cast<int>(columns.tracks[at])};
    need(before.group_before(name), "tiles that are not in order");
    before = name;
    KeyedTile& tile = tiles.emplace_back();
    static_cast<GroupName&>(tile) = name;
    tile.stored = true;
    tile.at = rows;
    tile.keys = static_cast<std::uint32_t>(keys_of);
    tile.rest = static_cast<std::int64_t>(rest);
    tile.sum_at = sums;
    rows += tile.keys;
    if (has_sums(name.track)) sums += tile.keys;
  }
}

void StoredKeyedTiles::take_counts(std::vector<KeyedTile>& tiles) const {
  std::string_view counts = columns.counts.bytes(0, columns.counts.size());
  need(counts.find('\0') == std::string_view::npos, "a key with a count of 0");
  constexpr char kMark = static_cast<char>(kWide);
  std::size_t next = counts.find(kMark);
  std::uint32_t wides = 0;
  for (KeyedTile& tile : tiles) {
    tile.wide_at = wides;
    for (; next < tile.at + tile.keys; next = counts.find(kMark, next + 1)) {
      std::uint64_t count = columns.wides[wides++];
      need(count > 0 && count <= static_cast<std::uint64_t>(kLargest), "a count out of range");
      tile.odd |= count < static_cast<std::uint64_t>(kWide);
    }
    tile.wides = wides - tile.wide_at;
  }
}

std::string describe_keyed_tiles() {
  const KeyShapes keys;
  const std::vector<bool> sums;
  return describe_columns<KeyedTileColumns<Stored>>(KeyedTileShape{keys, sums});
}

}  // namespace user_state
