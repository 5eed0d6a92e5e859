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
    Begin at = begins_[bucket];
    for (std::size_t byte = 0; byte < mask_bytes_; ++byte) {
      for (unsigned left = columns_.masks[mask_bytes_ * bucket + byte]; left != 0; left &= left - 1) {
        int track = static_cast<int>(8 * byte) + std::countr_zero(left);
        Tile tile{start_s(bucket), track, columns_.counts[at.tile++], {}};
        if (tile.count == kWide) tile.count = static_cast<std::int64_t>(columns_.wide_counts[at.wide++]);
        for (std::size_t of = 0; of < numbers_[track]; ++of) tile.values[of] = columns_.numbers[of][at.numbers[of]++];
        see(tile);
      }
    }
  }

  /// Appends buckets, from one to before another, to columns that are to be written.
  void copy(std::size_t begin, std::size_t end, TileColumns<Pieced>& into) const;

 private:
  static constexpr std::uint8_t kWide = TileColumns<Stored>::kWide;

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
  /// Masks: of all tracks, and of those that keep so many numbers.
  std::vector<std::uint8_t> known_;
  std::array<std::vector<std::uint8_t>, kMostNumbers> keeping_;
  TileColumns<Stored> columns_;
  /// Of each bucket, and of what comes after the last.
  std::vector<Begin> begins_{1};
  std::vector<std::uint8_t> odd_;
};

}  // namespace user_state
