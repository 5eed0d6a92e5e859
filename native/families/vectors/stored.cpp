#include "families/vectors/stored.hpp"

#include <bit>
#include <limits>
#include <span>
#include <utility>

#include "codec/steps.hpp"

namespace user_state {

namespace {

/// More than any number of events can weigh, and small enough that nothing made of it overflows.
constexpr double kMostWeight = 1e30;
/// A sum of vectors of length one is no longer than the sum of their weights, but for what rounding adds over thousands
/// of folds.
constexpr double kRounded = 1.01;

}  // namespace

StoredVectors::StoredVectors(std::vector<VectorShape> shapes) : vectors(shapes.size()), shapes_(std::move(shapes)) {}

void StoredVectors::read(Reader in) {
  ColumnReader reader(in);
  for (std::size_t at = 0; at < vectors.size(); ++at) {
    const VectorShape& shape = shapes_[at];
    DecayedSums& into = vectors[at];
    VectorColumns<Stored> columns;
    columns.list(reader, shape);
    into.time_us = columns.time_us;
    if (columns.begun) {
      take(columns, shape, into);
    } else {
      into.weights.assign(shape.half_lives, 0.0);
      into.largest.assign(shape.half_lives, 0.0);
      into.sums.assign(shape.half_lives * shape.dimensions, 0.0);
    }
  }
  in.end();
}

void StoredVectors::take(const VectorColumns<Stored>& columns, const VectorShape& shape, DecayedSums& into) {
  need(columns.time_us > 0, "invalid time of the newest event");
  into.weights.clear(), into.largest.clear();
  into.sums.resize(shape.half_lives * shape.dimensions);
  for (std::size_t of = 0; of < shape.half_lives; ++of) {
    double weight = columns.weights[of], largest = columns.largest[of];
    need(weight >= 0 && weight <= kMostWeight, "a weight is negative or too large");
    need(largest >= 0 && largest <= std::numeric_limits<double>::max(), "a component is not finite");
    std::size_t begin = of * shape.dimensions;
    std::span<double> sums = std::span(into.sums).subspan(begin, shape.dimensions);
    if (shape.component_bytes == 2) {
      steps::take(columns.short_steps, begin, largest, sums);
    } else {
      steps::take(columns.long_steps, begin, largest, sums);
    }
    // Bytes that nobody encoded may hold a larger one, or none that is as large as they say.
    double found = steps::largest_of(sums);
    need(found <= kRounded * weight, "an embedding is longer than its weight");
    into.weights.push_back(weight);
    into.largest.push_back(found);
  }
}

void StoredVectors::write(Writer& out) const {
  ColumnWriter writer(out);
  for (std::size_t at = 0; at < vectors.size(); ++at) {
    const DecayedSums& held = vectors[at];
    const VectorShape& shape = shapes_[at];
    fresh_.begun = held.time_us > 0;
    fresh_.time_us = held.time_us;
    fresh_.weights.assign(held.weights.begin(), held.weights.end());
    fresh_.largest.assign(held.largest.begin(), held.largest.end());
    fresh_.short_steps.resize(shape.components(2));
    fresh_.long_steps.resize(shape.components(4));
    for (std::size_t of = 0; of < shape.half_lives && fresh_.begun; ++of) {
      auto seed = std::bit_cast<std::uint64_t>(held.weights[of]) ^ static_cast<std::uint64_t>(held.time_us);
      std::size_t begin = of * shape.dimensions;
      std::span<const double> sums = std::span(held.sums).subspan(begin, shape.dimensions);
      if (shape.component_bytes == 2) {
        steps::put(sums, held.largest[of], seed, fresh_.short_steps.data() + begin);
      } else {
        steps::put(sums, held.largest[of], seed, fresh_.long_steps.data() + begin);
      }
    }
    fresh_.list(writer, shape);
  }
}

std::string describe_vectors() { return describe_columns<VectorColumns<Stored>>(VectorShape{1, 1, 4}); }

}  // namespace user_state
