// Numbers read from tiles. A tile belongs to every window that begins at or before it, so it counts in the shortest of
// those, and windows add up from the shortest to the longest, by the formulas of tile_values.hpp. Of n events:
//
//     mean            sum / n
//     geometric_mean  exp(sum of logarithms / n)
//     variance        M2 / n                       of the events themselves, not an estimate for a larger population; 0
//                                                  where it is no more than rounding makes of equal values
//     stddev          sqrt(variance)
//     skew            sqrt(n) M3 / M2^1.5          0 where all values are equal
//     kurtosis        n M4 / M2^2 - 3              excess over the normal distribution's; 0 where all values are equal
//     recency         at - last                    seconds; 0 for an event after `at`
//     first_seen      at - first                   seconds; 0 for an event after `at`
//     gap_mean        (last - first) / (n - 1)     seconds between events; no value for a single one
#include <array>
#include <cmath>
#include <limits>

#include "families/part.hpp"
#include "families/tiles/open.hpp"
#include "families/tiles/stored.hpp"

namespace user_state::reading {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// A deviation of less than this share of the mean is rounding.
constexpr double kRounding = 1e-12;

/// How many central moments beyond the sum are kept.
int moments_of(Held held) { return held == Held::kMoments ? 3 : held == Held::kVariance ? 1 : 0; }

class Tiles : public Part {
 public:
  explicit Tiles(const Program& program)
      : program_(program), stored_(program.tracks), tracks_(program.tracks.size()), width_(stored_.shape().width) {
    for (std::size_t track = 0; track < tracks_; ++track) {
      Held held = program.tracks[track];
      if (adds_up(held) || moments_of(held) > 0) adding_.push_back(track);
      if (moments_of(held) > 0) central_.push_back(track);
      if (held == Held::kMin || held == Held::kTimes) least_.push_back(track);
      if (held == Held::kMax) greatest_.push_back({0, track});
      if (held == Held::kTimes) greatest_.push_back({1, track});
    }
    numbers_.resize(program.numbers.size());
  }

  void set_time(std::int64_t at_us) override {
    at_us_ = static_cast<double>(at_us);
    begins_.clear();
    for (const Window& window : program_.windows) begins_.push_back(start_s(window, at_us));
    starts_.set(begins_);
    cells_ = starts_.size() * tracks_;
    cell_of_number_.clear();
    for (const TileNumber& number : program_.numbers) {
      cell_of_number_.push_back(starts_.place(number.window) * tracks_ + static_cast<std::size_t>(number.track));
    }
    count_.resize(cells_);
    values_.resize(width_ * cells_);
  }

  void read(Reader in, const Row& row) override {
    stored_.read(in);
    clear();
    add_stored_tiles();
    finish(row);
  }

  void read(const Family& open, const Row& row) override {
    clear();
    add_tiles(static_cast<const OpenTiles&>(open).tiles());
    finish(row);
  }

 private:
  /// A tile with central moments, which add up only once the sums of all are known.
  struct CentralTile {
    std::size_t cell;
    Held held;
    double count;
    std::array<double, kMostNumbers> values;
  };
  /// A number of a track's tiles.
  struct Column {
    std::size_t at, track;
  };

  /// Fills a row with what the tiles that were added come to.
  void finish(const Row& row) {
    if (!central_.empty()) start_moments();
    add_up_windows();
    if (!central_.empty()) finish_moments();
    for (std::size_t at = 0; at < numbers_.size(); ++at) {
      numbers_[at] = finished(program_.numbers[at], cell_of_number_[at]);
    }
    for (const TileOutput& output : program_.tiled) {
      row.values[output.column] = static_cast<float>(numbers_[output.number]);
    }
    for (const RatioOutput& output : program_.ratios) {
      double above = numbers_[output.numerator] + output.weight * output.rate;
      double ratio = above / (numbers_[output.denominator] + output.weight);
      row.values[output.column] = static_cast<float>(std::isfinite(ratio) ? ratio : output.empty);
    }
    for (const StackedOutput& output : program_.stacked) {
      float* to = row.out.arrays[output.array] + row.at * program_.array_sizes[output.array];
      for (int number : output.numbers) *to++ = static_cast<float>(numbers_[number]);
    }
  }

  double& value(std::size_t column, std::size_t cell) { return values_[column * cells_ + cell]; }

  void clear() {
    std::ranges::fill(count_, 0.0);
    std::ranges::fill(values_, 0.0);
    central_tiles_.clear();
    for (std::size_t first = 0; first < cells_; first += tracks_) {
      for (std::size_t track : least_) value(0, first + track) = kInfinity;
      for (Column of : greatest_) value(of.at, first + of.track) = -kInfinity;
    }
  }

  /// Adds the tiles of the section that was read.
  void add_stored_tiles() {
    if (starts_.size() == 0) return;
    std::size_t window = 0;
    for (std::size_t bucket = 0; bucket < stored_.buckets(); ++bucket) {
      std::int64_t start = stored_.start_s(bucket);
      if (start < starts_[0]) continue;
      while (window + 1 < starts_.size() && start >= starts_[window + 1]) ++window;
      std::size_t first = window * tracks_;
      stored_.each(bucket, [this, first, counts = count_.data() + first](std::size_t track, std::int64_t count, auto number) {
        counts[track] += static_cast<double>(count);
        Held held = program_.tracks[track];
        if (held != Held::kNothing) add(first + track, held, static_cast<double>(count), number);
      });
    }
  }

  void add_tiles(std::span<const Tile> tiles) {
    if (starts_.size() == 0) return;
    std::size_t window = 0;
    auto begin = std::ranges::lower_bound(tiles, starts_[0], {}, &Tile::start_s);
    for (const Tile& tile : std::span(begin, tiles.end())) {
      while (window + 1 < starts_.size() && tile.start_s >= starts_[window + 1]) ++window;
      std::size_t cell = window * tracks_ + static_cast<std::size_t>(tile.track);
      auto count = static_cast<double>(tile.count);
      count_[cell] += count;
      Held held = program_.tracks[tile.track];
      if (held != Held::kNothing) add(cell, held, count, [&tile](std::size_t of) { return tile.values[of]; });
    }
  }

  /// Adds the numbers of a tile to those of its cell.
  template <class Number>
  void add(std::size_t cell, Held held, double count, Number number) {
    double& first = value(0, cell);
    switch (held) {
      case Held::kNothing: return;
      case Held::kSum:
      case Held::kLogSum: first += number(0); return;
      case Held::kMin: first = std::min(first, number(0)); return;
      case Held::kMax: first = std::max(first, number(0)); return;
      case Held::kTimes:
        first = std::min(first, number(0));
        value(1, cell) = std::max(value(1, cell), number(1));
        return;
      case Held::kVariance:
      case Held::kMoments: {
        first += number(0);
        CentralTile& tile = central_tiles_.emplace_back(CentralTile{cell, held, count, {}});
        for (std::size_t of = 0; of <= static_cast<std::size_t>(moments_of(held)); ++of) tile.values[of] = number(of);
      }
    }
  }

  /// Moves the moments of each tile to the mean of its cell, which is what they add up around.
  void start_moments() {
    cell_count_ = count_;
    cell_values_ = values_;
    for (const CentralTile& tile : central_tiles_) {
      double distance = tile.values[0] / tile.count - cell_values_[tile.cell] / cell_count_[tile.cell];
      add_moments(
          moments_of(tile.held), tile.count, distance, [&](int moment) { return tile.values[moment - 1]; },
          [&](int moment) -> double& { return cell_values_[(moment - 1) * cells_ + tile.cell]; });
    }
  }

  void add_up_windows() {
    for (std::size_t window = starts_.size(); window-- > 1;) {
      std::size_t from = window * tracks_, into = from - tracks_;
      const double* shorter = count_.data() + from;
      double* longer = count_.data() + into;
      for (std::size_t track = 0; track < tracks_; ++track) longer[track] += shorter[track];
      for (std::size_t track : adding_) value(0, into + track) += value(0, from + track);
      for (std::size_t track : least_) value(0, into + track) = std::min(value(0, into + track), value(0, from + track));
      for (auto [at, track] : greatest_) {
        value(at, into + track) = std::max(value(at, into + track), value(at, from + track));
      }
    }
  }

  /// Moves the moments of the cells of each window to the mean of the window.
  void finish_moments() {
    for (std::size_t track : central_) {
      int moments = moments_of(program_.tracks[track]);
      for (std::size_t cell = track; cell < cells_; cell += tracks_) {
        double mean = value(0, cell) / count_[cell];
        for (std::size_t part = cell; part < cells_; part += tracks_) {
          if (cell_count_[part] == 0) continue;
          add_moments(
              moments, cell_count_[part], cell_values_[part] / cell_count_[part] - mean,
              [&](int moment) { return cell_values_[(moment - 1) * cells_ + part]; },
              [&](int moment) -> double& { return value(moment - 1, cell); });
        }
      }
    }
  }

  /// Pebay 2008: central moments add up once each is moved by the distance of the means.
  template <class Of, class Into>
  static void add_moments(int moments, double count, double distance, Of of, Into into) {
    double second = of(2);
    into(2) += second + count * distance * distance;
    if (moments < 3) return;
    double third = of(3);
    into(3) += third + 3 * distance * second + count * std::pow(distance, 3);
    into(4) += of(4) + 4 * distance * third + 6 * distance * distance * second + count * std::pow(distance, 4);
  }

  double finished(const TileNumber& number, std::size_t cell) {
    using enum TileAggregate;
    double n = count_[cell];
    if (!(n > (number.aggregate == kGapMean ? 1 : 0))) return number.empty;
    auto variance = [&] {
      double found = std::max(value(1, cell), 0.0) / n;
      return std::sqrt(found) <= kRounding * std::fabs(value(0, cell) / n) ? 0.0 : found;
    };
    auto age_s = [&](int column) {
      return std::max(at_us_ - value(column, cell), 0.0) / static_cast<double>(kSecondUs);
    };
    switch (number.aggregate) {
      case kCount: return n;
      case kSum:
      case kMin:
      case kMax: return value(0, cell);
      case kMean: return value(0, cell) / n;
      case kGeometricMean: return std::isnan(value(0, cell)) ? number.empty : std::exp(value(0, cell) / n);
      case kVariance: return variance();
      case kStddev: return std::sqrt(variance());
      case kSkew: return variance() == 0 ? 0.0 : std::sqrt(n) * value(2, cell) / std::pow(value(1, cell), 1.5);
      case kKurtosis: return variance() == 0 ? 0.0 : n * value(3, cell) / (value(1, cell) * value(1, cell)) - 3;
      case kRecency: return age_s(1);
      case kFirstSeen: return age_s(0);
      case kGapMean: return (value(1, cell) - value(0, cell)) / (n - 1) / static_cast<double>(kSecondUs);
    }
    throw Corrupt{};
  }

  const Program& program_;
  StoredTiles stored_;
  std::size_t tracks_, width_, cells_ = 0;
  /// Tracks whose first number adds up, those with central moments, those that keep the least of their first numbers, and
  /// those that keep the greatest of some number.
  std::vector<std::size_t> adding_, central_, least_;
  std::vector<Column> greatest_;
  double at_us_ = 0;
  std::vector<std::int64_t> begins_;
  Starts starts_;
  std::vector<std::size_t> cell_of_number_;
  /// By window and track, of tiles and from then on of windows; values by column first.
  std::vector<double> count_, values_;
  /// The same before windows are added up, of moments.
  std::vector<double> cell_count_, cell_values_;
  std::vector<CentralTile> central_tiles_;
  std::vector<double> numbers_;
};

}  // namespace

std::unique_ptr<Part> make_tiles(const Program& program) { return std::make_unique<Tiles>(program); }

}  // namespace user_state::reading
