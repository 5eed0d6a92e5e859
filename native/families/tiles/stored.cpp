#include "families/tiles/stored.hpp"

#include <algorithm>

namespace user_state {

namespace {

/// Bits set in a byte; x86-64 at its oldest, which this is built for, has no instruction for it.
constexpr auto kOnes = [] {
  std::array<std::uint8_t, 256> ones{};
  for (unsigned byte = 0; byte < ones.size(); ++byte) ones[byte] = static_cast<std::uint8_t>(std::popcount(byte));
  return ones;
}();

}  // namespace

StoredTiles::StoredTiles(std::vector<Held> held) : held_(std::move(held)), mask_bytes_((held_.size() + 7) / 8) {
  known_.resize(mask_bytes_);
  for (auto& keeping : keeping_) keeping.resize(mask_bytes_);
  for (std::size_t track = 0; track < held_.size(); ++track) {
    auto bit = static_cast<std::uint8_t>(1 << track % 8);
    auto numbers = static_cast<std::size_t>(columns_of(held_[track]));
    known_[track / 8] |= bit;
    for (std::size_t at = 0; at < numbers; ++at) keeping_[at][track / 8] |= bit;
    numbers_.push_back(static_cast<std::uint8_t>(numbers));
    width_ = std::max(width_, numbers);
  }
}

void StoredTiles::read(Reader in) {
  read_columns(in, columns_, Counting{*this, mask_bytes_, width_});
  need(begins_.back().tile == columns_.tiles, "there are not as many tiles as their masks name");
  find_wide();
}

void StoredTiles::find_buckets() {
  Begin next;
  begins_.assign(1, next);
  odd_.assign(columns_.buckets, 0);
  for (std::size_t bucket = 0; bucket < columns_.buckets; ++bucket) {
    need(bucket == 0 || columns_.starts_s[bucket] > columns_.starts_s[bucket - 1], "starts are not ascending");
    for (std::size_t byte = 0; byte < mask_bytes_; ++byte) {
      std::uint8_t bits = columns_.masks[mask_bytes_ * bucket + byte];
      need((bits & ~known_[byte]) == 0, "a mask names a track that there is not");
      next.tile += kOnes[bits];
      for (std::size_t at = 0; at < width_; ++at) next.numbers[at] += kOnes[bits & keeping_[at][byte]];
    }
    if (next.tile == begins_.back().tile) odd_[bucket] = 1;
    begins_.push_back(next);
  }
}

void StoredTiles::find_wide() {
  std::uint32_t met = 0;
  for (std::size_t bucket = 0; bucket < buckets(); ++bucket) {
    for (std::uint32_t tile = begins_[bucket].tile; tile < begins_[bucket + 1].tile; ++tile) {
      need(columns_.counts[tile] > 0, "a tile has no events");
      if (columns_.counts[tile] < kWide) continue;
      need(met < columns_.wide, "there are fewer wide counts than tiles of that many events");
      std::uint64_t count = columns_.wide_counts[met++];
      need(count > 0 && count < static_cast<std::uint64_t>(kTooLarge), "a count is out of range");
      if (count < kWide) odd_[bucket] = 1;
    }
    begins_[bucket + 1].wide = met;
  }
  need(met == columns_.wide, "there are more wide counts than tiles of that many events");
}

void StoredTiles::copy(std::size_t begin, std::size_t end, TileColumns<Pieced>& into) const {
  const Begin &from = begins_[begin], &to = begins_[end];
  into.tiles += to.tile - from.tile, into.wide += to.wide - from.wide;
  into.starts_s.copy(columns_.starts_s.bytes(begin, end));
  into.masks.copy(columns_.masks.bytes(mask_bytes_ * begin, mask_bytes_ * end));
  into.counts.copy(columns_.counts.bytes(from.tile, to.tile));
  into.wide_counts.copy(columns_.wide_counts.bytes(from.wide, to.wide));
  for (std::size_t at = 0; at < width_; ++at) {
    into.numbers[at].copy(columns_.numbers[at].bytes(from.numbers[at], to.numbers[at]));
  }
}

std::string describe_tiles() { return describe_columns<TileColumns<Stored>>(TileShape{1, kMostNumbers}); }

}  // namespace user_state
