// The keyed decays of one record, as its section has them: what folding and reading have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "families/keyed/stored_keys.hpp"
#include "families/keyed_decays/columns.hpp"

namespace user_state {

class StoredKeyedDecays {
 public:
  using Group = KeyedGroup<double>;

  explicit StoredKeyedDecays(const KeyShapes& shapes) : keys(shapes), times_us(shapes.tracks()) {}

  /// Takes in a section, of a record with so many strings; there is a group for every decay that has an event.
  void read(Reader in, std::size_t strings);

  double weight(const Group& group, std::size_t row) const { return columns.weights[group.at + row]; }

  KeyedDecayColumns<Stored> columns;
  StoredKeys keys;
  std::vector<Group> groups;
  /// Of each decay the time of its newest event, 0 where there is none.
  std::vector<std::int64_t> times_us;

 private:
  class Counting;
};

}  // namespace user_state
