// What the tiles of windows come to, for all windows and tracks at once: user_state/core/window_sums.py says how.
#pragma once

#include <cstdint>
#include <span>

namespace user_state {

/// What a track's tiles keep beside their count: user_state/core/tile_values.py. In the order of `TRACK_COLUMNS`.
enum class Keeps : std::int8_t { kCount, kSum, kMin, kMax, kVariance, kMoments, kTimes };

/// m rows as `Tiles` has them, and the columns of their numbers one after the other.
struct TileColumns {
  std::span<const std::int64_t> key, count;
  std::span<const double> values;
};

/// (windows, users, tracks) counts, and as many numbers for each column of the rows, all of them 0 to begin with.
struct WindowSums {
  std::span<double> count, values;
};

/// Adds up the rows at or after each window's start.
///
/// @param keeps of each track.
/// @param starts_s ascends: the longest window first.
/// @throws std::out_of_range for a row of another user or track than there are; nothing else is checked.
void sum_windows(const TileColumns& tiles, std::span<const Keeps> keeps, std::size_t users,
                 std::span<const std::int64_t> starts_s, WindowSums sums);

}  // namespace user_state
