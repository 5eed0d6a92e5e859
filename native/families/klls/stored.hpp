// The approximate quantiles of one record, where its section has them: what folding and reading have in common.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "families/klls/columns.hpp"
#include "families/klls/kll_sketch.hpp"
#include "families/sketch_tiles/stored.hpp"

namespace user_state {

/// A sketch as it lies in a section.
struct StoredKll {
  /// How many numbers each level has, in two bytes each, lowest level first.
  std::string_view sizes;
  double least, greatest;
  /// The levels' numbers one after the other; ascending within a level, but for the lowest.
  Numbers numbers;

  std::size_t levels() const { return sizes.size() / sizeof(std::uint16_t); }
  std::uint32_t size_of(std::size_t level) const {
    return load<std::uint16_t>(sizes.data() + sizeof(std::uint16_t) * level);
  }
  /// Of how many numbers it is, and how many of them it keeps.
  std::uint64_t seen() const;
  std::uint32_t size() const;
};

class StoredKlls {
 public:
  /// `k` is, of each track, how many numbers the top level of a sketch has room for.
  explicit StoredKlls(const std::vector<int>& k);

  void read(Reader in);

  std::size_t tracks() const { return fitting_.size(); }
  const Capacities& fitting(int track) const { return fitting_[track]; }

  /// Their items are numbers.
  std::vector<SketchTile> tiles;
  std::vector<StoredKll> sketches;

 private:
  void take_sketches(const KllColumns<Stored>& columns);

  std::vector<Capacities> fitting_;
};

}  // namespace user_state
