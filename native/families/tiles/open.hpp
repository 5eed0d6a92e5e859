// The tiles of one record while it is open: as they lie in memory, for those who read them without bytes in between.
#pragma once

#include <span>

#include "families/family.hpp"
#include "families/tiles/tile_values.hpp"

namespace user_state {

class OpenTiles : public Family {
 public:
  bool can_stay_open() const override { return true; }
  /// Of a family that is open: all tiles, in order of their starts, then of their tracks.
  virtual std::span<const Tile> tiles() const = 0;
};

}  // namespace user_state
