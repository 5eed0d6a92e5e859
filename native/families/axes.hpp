// Where the tiles of many tracks lie: user_state/plan/time_axis.py says what a time axis is and when tiles are rolled
// up, user_state/plan/track_axes.py which tracks share one.
#pragma once

#include <cstdint>
#include <vector>

namespace user_state {

class TrackAxes {
 public:
  struct Level {
    std::int64_t width_s, reach_s;
    /// To what the end of the level is rounded, and where it is as of the clock; both are settled here.
    std::int64_t rounding_s = 0, cut_s = 0;
    /// 2^64 / width, rounded up: what `has_edge` multiplies by.
    std::uint64_t inverse = 0;

    /// Whether a tile can begin at a second. A long record has thousands of tiles and axes to ask that of: no division. Source:
    /// Lemire, Kaser, Kurz, "Faster remainder by direct computation", Software: Practice and Experience 2019.
    bool has_edge(std::int64_t second) const {
      auto number = static_cast<std::uint64_t>(second);
      return number >> 32 == 0 ? number * inverse <= inverse - 1 : second % width_s == 0;
    }
  };
  struct Axis {
    /// Finest first: the first whose cut is not later than a time is that time's.
    std::vector<Level> levels;
    bool lifetime;
  };

  TrackAxes() = default;
  /// The axis of track i is `axes[axis_of[i]]`.
  TrackAxes(std::vector<Axis> axes, std::vector<int> axis_of, std::int64_t skew_s);

  /// Settles where tiles lie as of a user's clock; to be called before `place`.
  void set_clock(std::int64_t clock_us);

  /// Whether tiles that lie where they belong as of one clock do so as of another.
  bool same_places(std::int64_t clock_us, std::int64_t other_us) const;

  /// Returned by `place` for what no output reads.
  static constexpr std::int64_t kDropped = -1;

  /// Returns the start in seconds of the tile that a time, or a tile's start, lies in: 0 is the lifetime tile.
  std::int64_t place(int track, std::int64_t start_s) const { return place_on(axis_of(track), start_s); }

  /// The axis of a track, one of `axes()`; many tracks share one.
  std::size_t axis_of(int track) const { return static_cast<std::size_t>(axis_of_[track]); }
  std::size_t axes() const { return axes_.size(); }
  /// Whether a tile that begins there lies where it belongs.
  bool stays_on(std::size_t at, std::int64_t start_s) const {
    const Axis& axis = axes_[at];
    for (const Level& level : axis.levels) {
      if (start_s >= level.cut_s) return level.has_edge(start_s) && (start_s > 0 || axis.lifetime);
    }
    return axis.lifetime && start_s == 0;
  }
  /// As `place`, of all tracks of an axis.
  std::int64_t place_on(std::size_t at, std::int64_t start_s) const {
    const Axis& axis = axes_[at];
    for (const Level& level : axis.levels) {
      if (start_s >= level.cut_s) {
        std::int64_t placed = start_s - start_s % level.width_s;
        return placed > 0 || axis.lifetime ? placed : kDropped;
      }
    }
    return axis.lifetime ? 0 : kDropped;
  }

 private:
  std::vector<Axis> axes_;
  std::vector<int> axis_of_;
  std::int64_t skew_s_ = 0;
};

}  // namespace user_state
