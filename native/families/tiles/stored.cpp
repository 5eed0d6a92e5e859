#include "families/tiles/stored.hpp"

#include <algorithm>

namespace user_state {

StoredTiles::StoredTiles(std::vector<Held> held) : held_(std::move(held)), mask_bytes_((held_.size() + 7) / 8) {
  for (Held one : held_) {
    numbers_.push_back(static_cast<std::uint8_t>(columns_of(one)));
    width_ = std::max<std::size_t>(width_, numbers_.back());
  }
  in_byte_.resize(mask_bytes_);
  for (std::size_t track = 0; track < 8 * mask_bytes_; ++track) {
    std::uint64_t one = std::uint64_t{1} << kUnknownBit;
    if (track < held_.size()) {
      one = 1;
      for (unsigned of = 1; of <= numbers_[track]; ++of) one |= std::uint64_t{1} << kCountBits * of;
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
      std::uint64_t& sum = in_byte_[track / 8][byte];
      if (byte >> track % 8 & 1) sum = one >> kUnknownBit ? sum | one : sum + one;
    }
  }
}

void StoredTiles::read(Reader in) {
  read_columns(in, columns_, Counting{*this, mask_bytes_, width_});
  need(begins_.back().tile == columns_.tiles, "there are not as many tiles as their masks name");
  find_wide();
}

void StoredTiles::find_buckets() {
  constexpr std::uint64_t kOneCount = (1u << kCountBits) - 1;
  std::size_t buckets = columns_.buckets;
  need(ascend<std::uint32_t>(columns_.starts_s.bytes(0, buckets).data(), buckets, true), "starts are not ascending");
  begins_.resize(buckets + 1);
  odd_.assign(buckets, 0);
  // Bytes that are written may be anything's, as far as the compiler knows: what is read again and again stands apart.
  const auto* in_byte = in_byte_.data();
  const char* mask = columns_.masks.bytes(0, 0).data();
  const std::size_t mask_bytes = mask_bytes_, width = width_;
  std::uint8_t* odd = odd_.data();
  Begin* begin = begins_.data();
  *begin = {};
  std::uint64_t all = 0;
  for (std::size_t bucket = 0; bucket < buckets; ++bucket, ++begin) {
    Begin next = *begin;
    for (std::size_t byte = 0; byte < mask_bytes;) {
      std::uint64_t sum = 0;
      for (std::size_t end = std::min(byte + kBytesAtOnce, mask_bytes); byte < end; ++byte) {
        std::uint64_t counts = in_byte[byte][static_cast<std::uint8_t>(*mask++)];
        sum += counts;
        all |= counts;
      }
      next.tile += sum & kOneCount;
      for (std::size_t at = 0; at < width; ++at) next.numbers[at] += (sum >>= kCountBits) & kOneCount;
    }
    odd[bucket] = next.tile == begin->tile;
    begin[1] = next;
  }
  need(all >> kUnknownBit == 0, "a mask names a track that there is not");
}

void StoredTiles::find_wide() {
  std::string_view counts = columns_.counts.bytes(0, columns_.counts.size());
  need(counts.find('\0') == std::string_view::npos, "a tile has no events");
  constexpr char kMark = static_cast<char>(kWide);
  std::size_t next = counts.find(kMark);
  std::uint32_t met = 0;
  // Where there are none, `find_buckets` has said so already.
  for (std::size_t bucket = 0; bucket < buckets() && columns_.wide + (next != std::string_view::npos) > 0; ++bucket) {
    for (; next < begins_[bucket + 1].tile; next = counts.find(kMark, next + 1)) {
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
