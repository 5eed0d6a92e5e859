// A record's keyed decays in bytes: decayed counts by key. A layout without them, and a record without any, have no bytes
// here.
#pragma once

#include <array>

#include "families/columns.hpp"
#include "families/keyed/shapes.hpp"
#include "families/keyed/written.hpp"

namespace user_state {

template <class As>
struct KeyedDecayColumns {
  enum Width { kTracks, kKeys, kRests, kTexts, kNumbers };

  std::uint16_t begun = 0;
  std::array<std::uint8_t, 5> widths{};
  typename As::Narrow tracks, keys, rests;
  typename As::BulkNarrow texts, numbers;
  typename As::template Column<std::int64_t> times_us;
  typename As::template Column<double> weights, rest_weights;

  /// `shape` is a KeyedShape, or something like it that counts what decays have.
  template <class Archive, class Shape>
  void list(Archive& of, const Shape& shape) {
    of.number(begun, "how many decays have an event");
    of.widths(widths, "bytes of a number: decays, keys, rests, strings, others");
    of.narrow(tracks, widths[kTracks], {begun, "decay with an event"}, "which one; they ascend");
    of.narrow(keys, widths[kKeys], {begun, "decay with an event"}, "how many keys it has");
    of.narrow(rests, widths[kRests], {begun, "decay with an event"}, "1 if something belongs to no key any more");
    shape.count(*this);
    of.narrow(texts, widths[kTexts], {shape.texts(), "key and field of strings"},
              "its number in the dictionary; all first fields, then all second and all third ones");
    of.narrow(numbers, widths[kNumbers], {shape.numbers(), "key and other field"},
              "an int, zigzag, or a bool as 0 or 1; in the same order");
    of.column(times_us, {begun, "decay with an event"}, "time of the newest one, microseconds");
    of.column(weights, {shape.keys(), "key"}, "decayed count, as of that time");
    of.column(rest_weights, {shape.rests(), "decay with a rest"}, "its decayed count");
  }
};

}  // namespace user_state
