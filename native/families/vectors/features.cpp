// Embeddings read from the decayed sums of one half-life; fold.cpp says what S, W, T and H are.
//
//     mean       S / W                           the reading time cancels
//     sum        S 2^-((at - T)/H)               read at a time before T, it is as if at T
//     direction  S / |S|                         of either; zeros where |S| is no more than rounding
//
// All are zeros for a user without a matching event.
#include "families/decaying.hpp"
#include "families/part.hpp"
#include "families/vectors/stored.hpp"

namespace user_state::reading {

namespace {

/// A vector shorter than this share of its weight has no direction but that of rounding.
constexpr double kLeastLength = 1e-6;

class Vectors : public Part {
 public:
  explicit Vectors(const Program& program) : program_(program), held_(vector_shapes(program.vector_parts)) {}

  void set_time(std::int64_t at_us) override { at_us_ = at_us; }

  void read(Reader in, const Row& row) override {
    held_.read(in);
    for (const VectorOutput& output : program_.vectors) put(output, row);
  }

 private:
  void put(const VectorOutput& output, const Row& row) const {
    const VectorPart& part = program_.vector_parts[output.vectors];
    const DecayedSums& held = held_.vectors[output.vectors];
    auto dimensions = static_cast<std::size_t>(part.dimensions);
    float* to = row.out.embeddings[output.embedding] + row.at * dimensions;
    if (held.time_us == 0) {
      std::fill_n(to, dimensions, 0.0f);
      return;
    }
    const double* sums = held.sums.data() + output.half_life * dimensions;
    double weight = held.weights[output.half_life];
    auto each = [&](auto component_of) {
      for (std::size_t at = 0; at < dimensions; ++at) to[at] = static_cast<float>(component_of(sums[at]));
    };
    if (output.unit) {
      double square = 0;
      for (std::size_t at = 0; at < dimensions; ++at) square += sums[at] * sums[at];
      double length = std::sqrt(square);
      bool directed = length > kLeastLength * weight;
      each([&](double sum) { return directed ? sum / length : 0.0; });
    } else if (output.is_sum) {
      double left = left_of_one(std::max<std::int64_t>(age_us(at_us_, held.time_us), 0), part.half_lives_us[output.half_life]);
      each([&](double sum) { return sum * left; });
    } else {
      each([&](double sum) { return weight > 0 ? sum / weight : 0.0; });
    }
  }

  const Program& program_;
  std::int64_t at_us_ = 0;
  StoredVectors held_;
};

}  // namespace

std::unique_ptr<Part> make_vectors(const Program& program) { return std::make_unique<Vectors>(program); }

}  // namespace user_state::reading
