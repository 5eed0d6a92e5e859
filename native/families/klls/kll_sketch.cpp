#include "families/klls/kll_sketch.hpp"

#include <algorithm>
#include <limits>

#include "codec/bytes.hpp"
#include "codec/xxh64.hpp"

namespace user_state {

namespace {

/// The least that a level has room for.
constexpr std::uint64_t kLeastRoom = 8;

/// Coins one after the other. Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014.
class Coins {
 public:
  explicit Coins(std::uint64_t seed) : state_(seed) {}

  bool next() {
    std::uint64_t bits = state_ += 0x9E3779B97F4A7C15;
    bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9;
    bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EB;
    return (bits ^ (bits >> 31)) >> 63 != 0;
  }

 private:
  std::uint64_t state_;
};

}  // namespace

Capacities capacities_of(int k) {
  Capacities fitting{};
  std::uint64_t twos = 2 * static_cast<std::uint64_t>(k), threes = 1;
  for (std::size_t depth = 0; depth < kMostKllLevels; ++depth) {
    fitting[depth + 1] = fitting[depth] + std::max(kLeastRoom, (twos / threes + 1) >> 1);
    // Further down all levels are the least there is.
    if (twos >= threes) twos *= 2, threes *= 3;
  }
  return fitting;
}

void KllUnion::begin(const Capacities& fitting) {
  fitting_ = &fitting;
  for (std::size_t level = 0; level < height_; ++level) levels_[level].clear();
  height_ = 0;
  least_ = std::numeric_limits<double>::infinity(), greatest_ = -least_;
}

void KllUnion::see_ends(double least, double greatest) {
  least_ = std::min(least_, least), greatest_ = std::max(greatest_, greatest);
}

void KllUnion::finish() {
  std::uint64_t size = 0, seen = 0;
  for (std::size_t level = 0; level < height_; ++level) {
    std::vector<double>& numbers = levels_[level];
    std::ranges::sort(numbers);
    // What sketches saw lies between their ends; this is for numbers that are in none.
    if (!numbers.empty()) see_ends(numbers.front(), numbers.back());
    size += numbers.size();
    // Levels and their sizes are small, so neither this nor the sum is beyond 64 bits before it is refused.
    need(numbers.size() < kMostSeen >> level);
    seen += numbers.size() << level;
    need(seen < kMostSeen);
  }
  if (size <= (*fitting_)[height_]) return;
  Coins coins(hash(seen));
  // Upwards, as long as it takes. A level with room to spare stays: if all are such, everything fits.
  for (std::size_t level = 0; level < height_ && size > (*fitting_)[height_]; ++level) {
    std::size_t numbers = levels_[level].size();
    if (numbers < room_of(level)) continue;
    compact(level, coins.next());
    size -= numbers / 2;
  }
}

std::uint64_t KllUnion::room_of(std::size_t level) const {
  std::size_t depth = height_ - 1 - level;
  return (*fitting_)[depth + 1] - (*fitting_)[depth];
}

/// Returns a hash of all levels.
std::uint64_t KllUnion::hash(std::uint64_t seen) const {
  std::uint64_t hashed = seen;
  for (const std::vector<double>& numbers : levels()) {
    hashed = xxh64({reinterpret_cast<const char*>(numbers.data()), sizeof(double) * numbers.size()}, hashed);
  }
  return hashed;
}

/// Sends every other number of a level one level up, where there may have been none.
void KllUnion::compact(std::size_t level, bool odd_places) {
  if (level + 1 == levels_.size()) levels_.emplace_back();
  height_ = std::max(height_, level + 2);
  std::vector<double>& from = levels_[level];
  std::vector<double>& to = levels_[level + 1];
  std::size_t begin = from.size() % 2;
  auto before = static_cast<std::ptrdiff_t>(to.size());
  for (std::size_t at = begin + odd_places; at < from.size(); at += 2) to.push_back(from[at]);
  std::inplace_merge(to.begin(), to.begin() + before, to.end());
  from.resize(begin);
}

}  // namespace user_state
