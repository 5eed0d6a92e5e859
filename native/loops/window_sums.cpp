#include "loops/window_sums.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

namespace user_state {

namespace {

constexpr int kTrackBits = 12, kStartBits = 32;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool keeps_smallest(Keeps keeps) { return keeps == Keeps::kMin || keeps == Keeps::kTimes; }
bool keeps_largest(Keeps keeps) { return keeps == Keeps::kMax || keeps == Keeps::kTimes; }
/// The column of the largest.
std::size_t largest_at(Keeps keeps) { return keeps == Keeps::kTimes ? 1 : 0; }
/// How many columns of a track are central moments.
int moments_of(Keeps keeps) { return keeps == Keeps::kMoments ? 3 : keeps == Keeps::kVariance ? 1 : 0; }

/// Adds to moments M2, M3 and M4, as many as there are to be, what a part has: `n` events, their mean `d` from the
/// whole's. `part(p)` is its M_p.
template <class Part, class Into>
void add_moments(int moments, double n, double d, Part part, Into into) {
  double m2 = part(2);
  into(2) += m2 + n * d * d;
  if (moments < 3) return;
  double m3 = part(3);
  into(3) += m3 + 3 * d * m2 + n * std::pow(d, 3);
  into(4) += part(4) + 4 * d * m3 + 6 * d * d * m2 + n * std::pow(d, 4);
}

class Windows {
 public:
  Windows(const TileColumns& tiles, std::span<const Keeps> keeps, std::size_t users,
          std::span<const std::int64_t> starts_s, WindowSums sums)
      : tiles_(tiles), keeps_(keeps), windows_(starts_s.size()), line_(users * keeps.size()), sums_(sums) {
    std::size_t rows = tiles.key.size();
    cells_ = windows_ * line_;
    width_ = cells_ ? sums.values.size() / cells_ : 0;
    rows_.reserve(rows);
    for (std::size_t row = 0; row < rows; ++row) {
      std::int64_t key = tiles.key[row], start_s = key >> kTrackBits & ((std::int64_t{1} << kStartBits) - 1);
      std::size_t track = key & ((1 << kTrackBits) - 1);
      auto user = static_cast<std::size_t>(key >> (kTrackBits + kStartBits));
      if (user >= users || track >= keeps.size()) throw std::out_of_range("a tile of another user or track");
      std::size_t window = windows_;  // the shortest that it lies in, plus one; they are few
      while (window > 0 && start_s < starts_s[window - 1]) --window;
      if (window > 0) rows_.push_back({row, (window - 1) * line_ + user * keeps.size() + track, track});
    }
  }

  void sum() {
    begin_extremes();
    for (const Row& row : rows_) {
      sums_.count[row.cell] += static_cast<double>(tiles_.count[row.row]);
      if (width_) join(row.track, row.cell, [&](std::size_t column) { return value(column, row.row); });
    }
    bool central = std::any_of(keeps_.begin(), keeps_.end(), [](Keeps keeps) { return moments_of(keeps) > 0; });
    if (central) join_rows();
    take_over();
    if (central) join_windows();
  }

 private:
  struct Row {
    std::size_t row, cell, track;
  };

  double value(std::size_t column, std::size_t row) const { return tiles_.values[column * tiles_.key.size() + row]; }
  double& number(std::size_t column, std::size_t cell) { return sums_.values[column * cells_ + cell]; }

  void begin_extremes() {
    for (std::size_t track = 0; track < keeps_.size(); ++track) {
      Keeps keeps = keeps_[track];
      for (std::size_t cell = track; cell < cells_; cell += keeps_.size()) {
        if (keeps_smallest(keeps)) number(0, cell) = kInfinity;
        if (keeps_largest(keeps)) number(largest_at(keeps), cell) = -kInfinity;
      }
    }
  }

  /// Joins sums and extremes of one part to a cell's.
  template <class Part>
  void join(std::size_t track, std::size_t cell, Part part) {
    Keeps keeps = keeps_[track];
    if (!keeps_smallest(keeps) && !keeps_largest(keeps)) {
      number(0, cell) += part(0);
      return;
    }
    if (keeps_smallest(keeps)) number(0, cell) = std::min(number(0, cell), part(0));
    if (keeps_largest(keeps)) {
      double& largest = number(largest_at(keeps), cell);
      largest = std::max(largest, part(largest_at(keeps)));
    }
  }

  /// Lets each window have what the next shorter one has, the shortest first.
  void take_over() {
    for (std::size_t begin = cells_; begin > line_; begin -= keeps_.size()) {
      for (std::size_t track = 0; track < keeps_.size(); ++track) {
        std::size_t from = begin - keeps_.size() + track, into = from - line_;
        sums_.count[into] += sums_.count[from];
        if (width_) join(track, into, [&](std::size_t column) { return number(column, from); });
      }
    }
  }

  /// Joins the central moments of rows to those of their cells, which become the parts of windows.
  void join_rows() {
    own_.assign(sums_.count.begin(), sums_.count.end());
    parts_.assign(sums_.values.begin(), sums_.values.end());
    for (const Row& row : rows_) {
      int moments = moments_of(keeps_[row.track]);
      if (moments == 0) continue;
      auto n = static_cast<double>(tiles_.count[row.row]);
      double d = value(0, row.row) / n - parts_[row.cell] / own_[row.cell];
      add_moments(
          moments, n, d, [&](int power) { return value(power - 1, row.row); },
          [&](int power) -> double& { return parts_[(power - 1) * cells_ + row.cell]; });
    }
  }

  /// Joins the central moments of cells to those of all windows that they are a part of.
  void join_windows() {
    for (std::size_t track = 0; track < keeps_.size(); ++track) {
      int moments = moments_of(keeps_[track]);
      for (std::size_t cell = track; moments && cell < cells_; cell += keeps_.size()) {
        double mean = number(0, cell) / sums_.count[cell];
        for (std::size_t part = cell; part < cells_; part += line_) {
          if (own_[part] == 0) continue;
          add_moments(
              moments, own_[part], parts_[part] / own_[part] - mean,
              [&](int power) { return parts_[(power - 1) * cells_ + part]; },
              [&](int power) -> double& { return number(power - 1, cell); });
        }
      }
    }
  }

 
  TileColumns tiles_;
  std::span<const Keeps> keeps_;
  std::size_t windows_, line_, cells_ = 0, width_ = 0;
  WindowSums sums_;
  std::vector<Row> rows_;
  std::vector<double> own_, parts_;  // cells' counts and numbers, before longer windows take them over
};

}  // namespace

void sum_windows(const TileColumns& tiles, std::span<const Keeps> keeps, std::size_t users,
                 std::span<const std::int64_t> starts_s, WindowSums sums) {
  Windows(tiles, keeps, users, starts_s, sums).sum();
}

}  // namespace user_state
