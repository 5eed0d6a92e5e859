// The gaps of one record, as its section has them: what folding and reading have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "families/gaps/columns.hpp"
#include "families/gaps/stretch.hpp"

namespace user_state {

/// The events of a tile that begins at a second; 0 is the lifetime tile's.
struct GapTile {
  std::int64_t start_s;
  Stretch held;
};

/// One track.
struct TrackGaps {
  /// Ascending by start, each once.
  std::vector<GapTile> tiles;
  /// Ascending, each time at most StoredGaps::kMostAtOnce times.
  std::vector<std::int64_t> open_us;
};

class StoredGaps {
 public:
  /// More events at one time say no more than two: that a gap of 0 lies between them.
  static constexpr std::size_t kMostAtOnce = 2;

  explicit StoredGaps(std::size_t count) : tracks(count) {}

  void read(Reader in);
  void write(Writer& out) const;

  std::vector<TrackGaps> tracks;

 private:
  /// Reused record after record.
  mutable GapColumns<Fresh> fresh_;
};

}  // namespace user_state
