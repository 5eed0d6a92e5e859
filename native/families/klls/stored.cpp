#include "families/klls/stored.hpp"

#include <cmath>

namespace user_state {

namespace {

/// Refuses a sketch's shape unless packing makes such.
void check_shape(const StoredKll& sketch, const Capacities& fitting) {
  std::uint32_t size = sketch.size();
  need(size >= 2 && size <= fitting[sketch.levels()], "a sketch holds too few numbers or too many");
  need(sketch.size_of(sketch.levels() - 1) > 0, "a sketch has a highest level without numbers");
  need(sketch.seen() < kMostSeen, "a sketch has seen more than there is");
  bool finite = std::isfinite(sketch.least) && std::isfinite(sketch.greatest);
  need(finite && sketch.least <= sketch.greatest, "a sketch has no least or no greatest number");
}

/// Refuses a sketch's numbers, which are of type T, unless packing makes such.
template <class T>
void check_numbers(const StoredKll& sketch) {
  const char* at = sketch.numbers.at;
  bool within = true, in_order = true;
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
      in_order &= ascend<T>(at, size, false);
      see(at), see(end - sizeof(T));
    }
    at = end;
  }
  need(within, "a sketch has numbers below its least or above its greatest");
  need(in_order, "levels of a sketch are not in order");
}

}  // namespace

std::uint64_t StoredKll::seen() const {
  std::uint64_t sum = 0;
  for (std::size_t level = 0; level < levels(); ++level) sum += std::uint64_t{size_of(level)} << level;
  return sum;
}

std::uint32_t StoredKll::size() const {
  std::uint32_t sum = 0;
  for (std::size_t level = 0; level < levels(); ++level) sum += size_of(level);
  return sum;
}

StoredKlls::StoredKlls(const std::vector<int>& k) {
  for (int of_track : k) fitting_.push_back(capacities_of(of_track));
}

void StoredKlls::read(Reader in) {
  KllColumns<Stored> columns;
  read_columns(in, columns, tracks());
  bool single = columns.single();
  const char* values = single ? columns.single_values.bytes(0, 0).data() : columns.values.bytes(0, 0).data();
  take_tiles(columns.tiles, tracks(), values, single ? sizeof(float) : sizeof(double), tiles);
  for (const SketchTile& tile : tiles) need(tile.items.are_in_order(), "values of a tile are not in order");
  take_sketches(columns);
}

void StoredKlls::take_sketches(const KllColumns<Stored>& columns) {
  sketches.clear();
  std::size_t level = 0, number = 0;
  for (const SketchTile& tile : tiles) {
    if (!tile.has_sketch()) continue;
    std::size_t levels = columns.levels[tile.sketch];
    need(levels >= 1 && levels <= kMostKllLevels, "a sketch has no levels, or too many");
    StoredKll sketch{columns.sizes.bytes(level, level + levels), columns.least[tile.sketch],
                     columns.greatest[tile.sketch], {}};
    level += levels;
    check_shape(sketch, fitting_[tile.track()]);
    std::uint32_t size = sketch.size();
    if (columns.single()) {
      sketch.numbers = {columns.single_numbers.bytes(number, number + size).data(), size, sizeof(float)};
      check_numbers<float>(sketch);
    } else {
      sketch.numbers = {columns.numbers.bytes(number, number + size).data(), size, sizeof(double)};
      check_numbers<double>(sketch);
    }
    number += size;
    sketches.push_back(sketch);
  }
}

std::string describe_klls() { return describe_columns<KllColumns<Stored>>(std::size_t{1}); }

}  // namespace user_state
