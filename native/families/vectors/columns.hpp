// A record's decayed sums of vectors in bytes: for each embedding of the layout these columns. A component is
// `largest * steps / 32767`, or `/ 2147483647` (codec/steps.hpp).
#pragma once

#include "families/columns.hpp"

namespace user_state {

struct VectorShape {
  std::size_t half_lives, dimensions;
  /// Of a component: 2 or 4.
  int component_bytes;

  std::size_t components(int bytes) const { return bytes == component_bytes ? half_lives * dimensions : 0; }
};

template <class As>
struct VectorColumns {
  bool begun = false;
  std::int64_t time_us = 0;
  typename As::template Column<double> weights, largest;
  typename As::template Column<std::int16_t> short_steps;
  typename As::template Column<std::int32_t> long_steps;

  template <class Archive>
  void list(Archive& of, const VectorShape& shape) {
    of.part(begun, "the embedding has an event", [&] {
      of.number(time_us, "time of the newest event, microseconds");
      of.column(weights, {shape.half_lives, "half-life"}, "sum of the magnitudes of weights, as of that time");
      of.column(largest, {shape.half_lives, "half-life"}, "largest magnitude of its components, as of that time");
      of.column(short_steps, {shape.components(2), "half-life and dimension, if stored as float16"}, "steps");
      of.column(long_steps, {shape.components(4), "half-life and dimension, if stored as float32"}, "steps");
    });
  }
};

}  // namespace user_state
