// The decayed sums of vectors of one record, as its section has them: what folding and reading have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "families/vectors/columns.hpp"

namespace user_state {

/// Of one embedding, as of a time; all of it is 0 where there is nothing.
struct DecayedSums {
  std::int64_t time_us = 0;
  /// By half-life, `largest` being the largest magnitude of its sums.
  std::vector<double> weights, largest;
  /// All dimensions of one half-life, then those of the next.
  std::vector<double> sums;
};

/// The shapes of the embeddings of a plan, or of the parts of a program.
template <class Parts>
std::vector<VectorShape> vector_shapes(const Parts& parts) {
  std::vector<VectorShape> made;
  for (const auto& part : parts) {
    made.push_back({part.half_lives_us.size(), static_cast<std::size_t>(part.dimensions), part.component_bytes});
  }
  return made;
}

class StoredVectors {
 public:
  explicit StoredVectors(std::vector<VectorShape> shapes);

  void read(Reader in);
  void write(Writer& out) const;

  std::vector<DecayedSums> vectors;

 private:
  static void take(const VectorColumns<Stored>& columns, const VectorShape& shape, DecayedSums& into);

  std::vector<VectorShape> shapes_;
  /// Reused record after record.
  mutable VectorColumns<Fresh> fresh_;
};

}  // namespace user_state
