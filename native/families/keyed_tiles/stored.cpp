#include "families/keyed_tiles/stored.hpp"

namespace user_state {

namespace {

constexpr std::uint64_t kEndOfTime = std::uint64_t{1} << 32;

}  // namespace

/// Takes tiles in as soon as it is known what they have, which settles how long the other columns are.
class StoredKeyedTiles::Counting {
 public:
  Counting(StoredKeyedTiles& held, std::vector<KeyedTile>& tiles, std::size_t length)
      : held_(held), tiles_(tiles), length_(length) {}

  void count(const KeyedTileColumns<Stored>& columns) const {
    need(columns.tiles > 0 && columns.lifetime <= columns.tiles, "more lifetime tiles than tiles");
    std::uint64_t start_s = columns.first_s;
    GroupName before{-1, 0};
    std::size_t left = length_;
    held_.keys.begin();
    for (std::size_t at = 0; at < columns.tiles; ++at) {
      if (at >= columns.lifetime) {
        std::uint64_t step_s = columns.steps_s[at - columns.lifetime];
        need(step_s < kEndOfTime, "a tile that begins too late");
        start_s += step_s;
        need(start_s > 0 && start_s < kEndOfTime, "a tile that begins too late");
      }
      std::uint64_t track = columns.tracks[at], keys = columns.keys[at], rest = columns.rests[at];
      need(track < held_.tracks_, "a tile of a track that there is not");
      need(keys <= kMostKeys && keys <= left, "a tile with too many keys");
      need(rest <= static_cast<std::uint64_t>(kLargest) && keys + rest > 0, "a tile of nothing, or of too much");
      left -= keys;
      GroupName name{at < columns.lifetime ? 0 : static_cast<std::int64_t>(start_s), static_cast<int>(track)};
      need(before.group_before(name), "tiles that are not in order");
      before = name;
      KeyedTile& tile = tiles_.emplace_back();
      static_cast<GroupName&>(tile) = name;
      tile.at = keys_;
      tile.keys = static_cast<std::uint32_t>(keys);
      tile.rest = static_cast<std::int64_t>(rest);
      tile.sum_at = summed_;
      held_.keys.add(tile);
      keys_ += tile.keys;
      if (!held_.has_sums(tile.track)) continue;
      summed_ += tile.keys;
      summed_rests_ += rest > 0;
    }
  }
  std::size_t texts() const { return held_.keys.parts(true); }
  std::size_t numbers() const { return held_.keys.parts(false); }
  std::size_t keys() const { return keys_; }
  std::size_t summed() const { return summed_; }
  std::size_t summed_rests() const { return summed_rests_; }

 private:
  StoredKeyedTiles& held_;
  std::vector<KeyedTile>& tiles_;
  const std::size_t length_;
  mutable std::uint32_t keys_ = 0, summed_ = 0, summed_rests_ = 0;
};

void StoredKeyedTiles::read(Reader in, std::size_t strings, std::vector<KeyedTile>& tiles) {
  // A tile takes a byte at least: none of them may be of zeros throughout.
  std::size_t length = in.left();
  need(Reader(in).take<std::uint32_t>() <= length, "more tiles than there is room for");
  read_columns(in, columns, Counting(*this, tiles, length));
  keys.read(columns.texts, columns.numbers, tiles, strings);
  take_counts(tiles);
  std::size_t rest = 0;
  if (columns.rest_sums.size() == 0) return;
  for (KeyedTile& tile : tiles) {
    if (has_sums(tile.track) && tile.rest > 0) tile.rest_sum = columns.rest_sums[rest++];
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
  return describe_columns<KeyedTileColumns<Stored>>(KeyedShape());
}

}  // namespace user_state
