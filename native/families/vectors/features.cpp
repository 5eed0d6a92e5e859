// Embeddings of one half-life: user_state/core/vectors.py says what they are, codec/vectors.py has the bytes.
#include "codec/optional_parts.hpp"
#include "codec/steps.hpp"
#include "families/part.hpp"

namespace user_state::reading {

namespace {

/// A vector shorter than this share of its weight has no direction but that of rounding.
constexpr double kLeastLength = 1e-6;
/// How much a component may be beyond its weight, by rounding to steps.
constexpr double kRoom = 1.01;
constexpr double kMostWeight = 1e30;

class Vectors : public Part {
 public:
  explicit Vectors(const Program& program) : program_(program) {}

  void set_time(std::int64_t at_us) override { at_us_ = at_us; }

  void read(Reader in, const Row& row) override {
    for (std::size_t part = 0; part < program_.vector_parts.size(); ++part) {
      const VectorPart& shape = program_.vector_parts[part];
      if (take_mark(in)) {
        read_part(in, part, shape, row);
        continue;
      }
      for (const VectorOutput& output : program_.vectors) {
        if (output.vectors == static_cast<int>(part)) std::fill_n(place(output, shape, row), shape.dimensions, 0.0f);
      }
    }
    in.end();
  }

 private:
  void read_part(Reader& in, std::size_t part, const VectorPart& shape, const Row& row) {
    std::int64_t time_us = take_time(in);
    std::size_t half_lives = shape.half_lives_us.size();
    auto weights = in.packed<double>(half_lives);
    auto largest = in.packed<double>(half_lives);
    for (std::size_t at = 0; at < half_lives; ++at) {
      double weight = weights[at];
      need(weight >= 0 && weight <= kMostWeight);
      need(largest[at] >= 0 && largest[at] <= std::numeric_limits<double>::max());
      sums_.clear();
      auto size = static_cast<std::size_t>(shape.dimensions);
      if (shape.component_bytes == sizeof(std::int32_t)) {
        steps::take<std::int32_t>(in, size, largest[at], sums_);
      } else {
        steps::take<std::int16_t>(in, size, largest[at], sums_);
      }
      need(steps::largest_of(sums_) <= kRoom * weight);
      for (const VectorOutput& output : program_.vectors) {
        if (output.vectors == static_cast<int>(part) && output.half_life == static_cast<int>(at)) {
          put(output, shape, weight, time_us, place(output, shape, row));
        }
      }
    }
  }

  static float* place(const VectorOutput& output, const VectorPart& shape, const Row& row) {
    return row.out.embeddings[output.embedding] + row.at * static_cast<std::size_t>(shape.dimensions);
  }

  void put(const VectorOutput& output, const VectorPart& shape, double weight, std::int64_t time_us, float* to) const {
    auto each = [&](auto component_of) {
      for (double sum : sums_) *to++ = static_cast<float>(component_of(sum));
    };
    if (output.unit) {
      double square = 0;
      for (double sum : sums_) square += sum * sum;
      double length = std::sqrt(square);
      bool directed = length > kLeastLength * weight;
      each([&](double sum) { return directed ? sum / length : 0.0; });
    } else if (output.is_sum) {
      std::int64_t half_life_us = shape.half_lives_us[output.half_life];
      double left = left_of_one(std::max<std::int64_t>(age_us(at_us_, time_us), 0), half_life_us);
      each([&](double sum) { return sum * left; });
    } else {
      each([&](double sum) { return weight > 0 ? sum / weight : 0.0; });
    }
  }

  const Program& program_;
  std::int64_t at_us_ = 0;
  std::vector<double> sums_;
};

}  // namespace

std::unique_ptr<Part> make_vectors(const Program& program) { return std::make_unique<Vectors>(program); }

}  // namespace user_state::reading
