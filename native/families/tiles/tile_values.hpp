// The numbers a tile holds beside its count n, by kind of track, and how those of several tiles become one's.
//
//     kind       numbers            joined by
//     count
//     sum        sum                adding
//     log_sum    sum of logarithms  adding
//     min, max   min / max          taking the smaller / larger
//     times      first, last        taking the earlier / later; event times in microseconds, exact in a double
//     variance   sum, M2            M2 = sum of (M2_i + n_i d_i^2)
//     moments    sum, M2, M3, M4    M3 = sum of (M3_i + 3 d_i M2_i + n_i d_i^3)
//                                   M4 = sum of (M4_i + 4 d_i M3_i + 6 d_i^2 M2_i + n_i d_i^4)
//
// M_p are central moments times n, n_i a part's count, d_i its mean less the mean of the whole. Working with
// differences of means keeps the digits that sums of squares lose; any number of parts is joined in one step.
//
// Source: Pebay, "Formulas for Robust, One-Pass Parallel Computation of Covariances and Arbitrary-Order Statistical
// Moments", SAND2008-6212, 2008; the pairwise form, Chan, Golub, LeVeque, "Updating Formulae", 1979, for M2.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <stdexcept>
#include <string>

#include "families/sums.hpp"

namespace user_state {

/// What a track's tiles hold beside their count.
enum class Held : std::uint8_t { kNothing, kSum, kLogSum, kMin, kMax, kTimes, kVariance, kMoments };

inline Held held_by(const std::string& kind) {
  if (kind == "count") return Held::kNothing;
  if (kind == "sum") return Held::kSum;
  if (kind == "log_sum") return Held::kLogSum;
  if (kind == "min") return Held::kMin;
  if (kind == "max") return Held::kMax;
  if (kind == "times") return Held::kTimes;
  if (kind == "variance") return Held::kVariance;
  if (kind == "moments") return Held::kMoments;
  throw std::invalid_argument("expected tiles of a kind that this release knows, got \"" + kind + "\"");
}

/// Whether tiles hold a sum that adds up as it is: of values, or of their logarithms.
inline bool adds_up(Held held) { return held == Held::kSum || held == Held::kLogSum; }

/// What one event adds to a sum of logarithms. Doubles remember what has no logarithm, in any order of adding: with a
/// zero the sum is minus infinity, and the geometric mean 0; with a negative value it is no number, and the mean none.
inline double log_of(double value) {
  return value < 0 ? std::numeric_limits<double>::quiet_NaN() : std::log(std::fabs(value));
}

/// How many numbers a tile has at most.
constexpr std::size_t kMostNumbers = 4;

/// How many numbers a tile has beside its count.
inline int columns_of(Held held) {
  switch (held) {
    case Held::kNothing: return 0;
    case Held::kTimes:
    case Held::kVariance: return 2;
    case Held::kMoments: return 4;
    default: return 1;
  }
}

struct Tile {
  std::int64_t start_s;
  int track;
  std::int64_t count;
  std::array<double, kMostNumbers> values;

  bool operator<(const Tile& other) const {
    return start_s != other.start_s ? start_s < other.start_s : track < other.track;
  }
  bool same_place(const Tile& other) const { return start_s == other.start_s && track == other.track; }
};

/// Whether tiles come to the same in whatever order they are joined, to the last bit.
inline bool adds_exactly(Held held) { return !adds_up(held) && held != Held::kVariance && held != Held::kMoments; }

/// Joins what adds exactly of another tile of the same place.
inline void add_exactly(Tile& whole, const Tile& tile, Held held) {
  whole.count += tile.count;
  if (held == Held::kMin || held == Held::kTimes) whole.values[0] = std::min(whole.values[0], tile.values[0]);
  if (held == Held::kMax) whole.values[0] = std::max(whole.values[0], tile.values[0]);
  if (held == Held::kTimes) whole.values[1] = std::max(whole.values[1], tile.values[1]);
}

/// Returns the tile of all these, which are of one place.
inline Tile join(std::span<const Tile> tiles, Held held) {
  Tile whole = tiles.front();
  auto sum = [&](auto number) { return reduced(tiles.size(), [&](std::size_t at) { return number(tiles[at]); }); };
  for (const Tile& tile : tiles.subspan(1)) add_exactly(whole, tile, held);
  bool central = held == Held::kVariance || held == Held::kMoments;
  if (central || adds_up(held)) whole.values[0] = sum([](const Tile& tile) { return tile.values[0]; });
  if (!central) return whole;
  // Pebay 2008: central moments add up once each is moved to the mean of the whole.
  double mean = whole.values[0] / static_cast<double>(whole.count);
  auto moved = [&](int moment, auto correction) {
    return sum([&](const Tile& tile) { return tile.values[moment]; }) + sum([&](const Tile& tile) {
             auto n = static_cast<double>(tile.count);
             return correction(tile, n, tile.values[0] / n - mean);
           });
  };
  whole.values[1] = moved(1, [](const Tile&, double n, double d) { return n * d * d; });
  if (held == Held::kVariance) return whole;
  whole.values[2] = moved(2, [](const Tile& t, double n, double d) { return 3 * d * t.values[1] + n * (d * d * d); });
  whole.values[3] = moved(3, [](const Tile& t, double n, double d) {
    return 4 * d * t.values[2] + 6 * d * d * t.values[1] + n * std::pow(d, 4);
  });
  return whole;
}

}  // namespace user_state
