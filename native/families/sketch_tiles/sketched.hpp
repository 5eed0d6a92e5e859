// Tiles that hold a few items or a sketch each, as a section has them: codec/sketch_tiles.py.
#pragma once

#include <vector>

#include "families/part.hpp"

namespace user_state::reading {

struct SketchedTile {
  std::int64_t start_s;
  int track;
  /// How many items it has, and where they lie; 0 if it has a sketch, and then `place` is the number of that.
  std::uint32_t items;
  std::size_t place;

  bool has_sketch() const { return items == 0; }
};

class SketchedTiles {
 public:
  /// `real` is whether items are floating-point numbers, of 4 or 8 bytes; others are of 4.
  SketchedTiles(std::size_t tracks, bool real) : tracks_(tracks), real_(real) {}

  void read(Reader& in) {
    constexpr std::uint8_t kHigh = 1, kSingle = 2;
    auto flags = in.take<std::uint8_t>();
    need(flags <= (real_ ? kHigh | kSingle : kHigh));
    std::size_t tiles = in.take<std::uint32_t>();
    auto starts = in.packed<std::uint32_t>(tiles);
    bool wide = tracks_ > 256;
    std::size_t track_bytes = tracks_ == 1 ? 0 : wide ? sizeof(std::uint16_t) : sizeof(std::uint8_t);
    std::string_view tracks = in.bytes(tiles * track_bytes);
    auto low = in.packed<std::uint8_t>(tiles);
    auto high = in.packed<std::uint8_t>(flags & kHigh ? tiles : 0);
    width_ = real_ && !(flags & kSingle) ? sizeof(double) : sizeof(float);
    tiles_.clear(), sketched_.clear();
    std::size_t items = 0;
    for (std::size_t at = 0; at < tiles; ++at) {
      int track = track_bytes == 0 ? 0
                  : wide           ? load<std::uint16_t>(tracks.data() + track_bytes * at)
                                   : static_cast<std::uint8_t>(tracks[at]);
      need(static_cast<std::size_t>(track) < tracks_);
      std::uint32_t size = low[at];
      if (flags & kHigh) size |= std::uint32_t{high[at]} << 8;
      std::int64_t start = starts[at];
      need(at == 0 || start > tiles_.back().start_s || (start == tiles_.back().start_s && track > tiles_.back().track));
      tiles_.push_back({start, track, size, size == 0 ? sketched_.size() : items});
      if (size == 0) sketched_.push_back(track);
      items += size;
    }
    items_ = in.bytes(items * width_);
  }

  const std::vector<SketchedTile>& tiles() const { return tiles_; }
  /// The track of each sketch, in the order in which they follow.
  const std::vector<int>& sketched() const { return sketched_; }
  std::size_t width() const { return width_; }
  const char* items_of(const SketchedTile& tile) const { return items_.data() + tile.place * width_; }

 private:
  std::size_t tracks_;
  bool real_;
  std::size_t width_ = 0;
  std::vector<SketchedTile> tiles_;
  std::vector<int> sketched_;
  std::string_view items_;
};

}  // namespace user_state::reading
