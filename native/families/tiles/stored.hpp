// The tiles of one record, where its section has them: what folding and reading have in common.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <vector>

#include "families/pieced.hpp"
#include "families/tiles/columns.hpp"

namespace user_state {

class StoredTiles {
 public:
  /// `held` is what each track's tiles hold.
  explicit StoredTiles(std::vector<Held> held);

  /// Finds out where each bucket is, and that all of them are as they should be; numbers stay where they are.
  void read(Reader in);

  TileShape shape() const { return {mask_bytes_, width_}; }
  Held held(int track) const { return held_[track]; }
  std::size_t tracks() const { return held_.size(); }
  /// How many numbers the tiles of a track have.
  std::size_t numbers(int track) const { return numbers_[track]; }

  std::size_t buckets() const { return begins_.size() - 1; }
  std::int64_t start_s(std::size_t bucket) const { return columns_.starts_s[bucket]; }
  /// How many tiles a bucket has.
  std::size_t tiles(std::size_t bucket) const { return begins_[bucket + 1].tile - begins_[bucket].tile; }
  /// Whether writing a bucket's tiles gives what is stored: not if there are none, or if a count is wide without need.
  bool is_as_written(std::size_t bucket) const { return !odd_[bucket]; }

  /// Whether a bucket has a tile of any track of a mask.
  bool has_any(std::size_t bucket, const std::vector<std::uint8_t>& mask) const {
    for (std::size_t byte = 0; byte < mask_bytes_; ++byte) {
      if (columns_.masks[mask_bytes_ * bucket + byte] & mask[byte]) return true;
    }
    return false;
  }

  /// Calls `see(tile)` for every tile of a bucket.
  template <class See>
  void each_tile(std::size_t bucket, See see) const {
    each(bucket, [&](std::size_t track, std::int64_t count, auto number) {
      Tile tile{start_s(bucket), static_cast<int>(track), count, {}};
      for (std::size_t of = 0; of < numbers_[track]; ++of) tile.values[of] = number(of);
      see(tile);
    });
  }

  /// Calls `see(track, count, number)` for every tile of a bucket; `number(i)` is the i-th number that it has.
  template <class See>
  void each(std::size_t bucket, See see) const {
    Begin at = begins_[bucket];
    for (std::size_t byte = 0; byte < mask_bytes_; ++byte) {
      for (unsigned left = columns_.masks[mask_bytes_ * bucket + byte]; left != 0; left &= left - 1) {
        std::size_t track = 8 * byte + static_cast<std::size_t>(std::countr_zero(left));
        std::int64_t count = columns_.counts[at.tile++];
        if (count == kWide) [[unlikely]] count = static_cast<std::int64_t>(columns_.wide_counts[at.wide++]);
        see(track, count, [&](std::size_t of) { return columns_.numbers[of][at.numbers[of]]; });
        for (std::size_t of = 0; of < numbers_[track]; ++of) ++at.numbers[of];
      }
    }
  }

  /// Appends buckets, from one to before another, to columns that are to be written.
  void copy(std::size_t begin, std::size_t end, TileColumns<Pieced>& into) const;

 private:
  static constexpr std::uint8_t kWide = TileColumns<Stored>::kWide;
  static constexpr unsigned kCountBits = 12, kUnknownBit = kCountBits * (1 + kMostNumbers);
  /// How many bytes of a mask can be added up before a count has no room.
  static constexpr std::size_t kBytesAtOnce = ((1u << kCountBits) - 1) / 8;

  /// Where in the columns a bucket begins.
  struct Begin {
    std::uint32_t tile = 0, wide = 0;
    std::array<std::uint32_t, kMostNumbers> numbers{};
  };
  /// Counts how many tiles and numbers the masks name.
  struct Counting {
    StoredTiles& of;
    std::size_t mask_bytes, width;

    void count(const Packed<std::uint8_t>&) const { of.find_buckets(); }
    std::size_t tiles_with(std::size_t at) const { return of.begins_.back().numbers[at]; }
  };

  void find_buckets();
  void find_wide();

  std::vector<Held> held_;
  std::vector<std::uint8_t> numbers_;
  std::size_t mask_bytes_, width_ = 0;
  /// What each byte of a mask comes to, by its place and the byte: how many tiles, and how many of them keep a first
  /// number, a second one and so on, in kCountBits each; in the highest bits 1 if it names a track that there is not.
  std::vector<std::array<std::uint64_t, 256>> in_byte_;
  TileColumns<Stored> columns_;
  /// Of each bucket, and of what comes after the last.
  std::vector<Begin> begins_{1};
  std::vector<std::uint8_t> odd_;
};

}  // namespace user_state
