// KLL sketches as they lie in a section (user_state/codec/klls.py), and what is refused of them.
#pragma once

#include <cmath>

#include "families/klls/kll_sketch.hpp"
#include "families/sketch_tiles/sketch_tiles.hpp"

namespace user_state {

/// A sketch as it lies in a section.
struct StoredKll {
  /// How many numbers each level has, in two bytes each, lowest level first.
  std::string_view sizes;
  double least, greatest;
  Numbers numbers;

  std::size_t levels() const { return sizes.size() / sizeof(std::uint16_t); }
  std::uint32_t size_of(std::size_t level) const {
    return load<std::uint16_t>(sizes.data() + sizeof(std::uint16_t) * level);
  }
};

/// Refuses a sketch's shape, but for its numbers, unless packing makes such; returns how many numbers it has.
inline std::uint32_t check_shape(const StoredKll& sketch, const Capacities& fitting) {
  std::uint64_t size = 0, seen = 0;
  for (std::size_t level = 0; level < sketch.levels(); ++level) {
    size += sketch.size_of(level);
    seen += std::uint64_t{sketch.size_of(level)} << level;
  }
  need(size >= 2 && size <= fitting[sketch.levels()]);
  need(sketch.size_of(sketch.levels() - 1) > 0 && seen < kMostSeen);
  need(std::isfinite(sketch.least) && std::isfinite(sketch.greatest) && sketch.least <= sketch.greatest);
  return static_cast<std::uint32_t>(size);
}

/// Refuses a sketch's numbers, which are of type T, unless packing makes such.
template <class T>
void check_numbers(const StoredKll& sketch) {
  const char* at = sketch.numbers.at;
  bool within = true;
  auto see = [&](const char* number) {
    double value = load<T>(number);
    within &= value >= sketch.least && value <= sketch.greatest;
  };
  for (std::size_t level = 0; level < sketch.levels(); ++level) {
    std::uint32_t size = sketch.size_of(level);
    const char* end = at + sizeof(T) * size;
    if (level == 0) {
      for (; at < end; at += sizeof(T)) see(at);
    } else if (size > 0) {
      within &= ascend<T>(at, size, false);
      see(at), see(end - sizeof(T));
    }
    at = end;
  }
  need(within);
}

}  // namespace user_state
