// Tiles that hold a few items or a sketch each, on the time axes of their tracks: what events make of them. What items
// and sketches are is said by families/hlls/fold.cpp and families/klls/fold.cpp.
#pragma once

#include <deque>
#include <span>
#include <vector>

#include "families/family.hpp"
#include "families/sketch_tiles/stored.hpp"

namespace user_state {

/// Bytes of what tiles hold anew: they stay where they are, and memory for them is asked for once.
class NewBytes {
 public:
  void clear() { used_ = 0; }
  Buffer& add() {
    if (used_ == kept_.size()) kept_.emplace_back();
    kept_[used_].clear();
    return kept_[used_++];
  }

 private:
  std::deque<Buffer> kept_;
  std::size_t used_ = 0;
};

/// A track of such tiles: which events it wants, their field, and how many items a tile holds before it holds a sketch.
struct SketchTrack {
  int filter, of;
  std::size_t most;
};

/// The tiles of one record; Item is std::uint32_t, each once in its tile, or double.
template <class Item>
class SketchTiles : public Family {
 public:
  bool stays(const Arrivals& arrivals, std::int64_t since_us) const final;
  void fold(const Arrivals& arrivals, Strings&) final;
  void absorb(const Family& other, std::span<const int> becomes, std::int64_t clock_us, Strings&) final;

 protected:
  SketchTiles(std::vector<SketchTrack> tracks, const TrackAxes& axes) : tracks_(std::move(tracks)), axes_(axes) {}

  /// Returns what an event's field is in a tile.
  virtual Item item_of(const Events& events, int field, std::uint32_t row) const = 0;
  /// Returns the number here of a sketch that another state of the same family holds, which stays there.
  virtual std::uint32_t borrow(const SketchTiles& other, std::uint32_t sketch) = 0;
  /// Returns the number of a new sketch of all that sketches and items, ascending, have seen.
  virtual std::uint32_t unite(int track, std::span<const std::uint32_t> sketches, std::span<const Item> items) = 0;
  std::vector<SketchTile> tiles_;
  NewBytes new_;

 private:
  struct Arrived {
    std::int64_t key;
    Item item;

    bool operator<(const Arrived& other) const { return key != other.key ? key < other.key : item < other.item; }
  };

  std::int64_t placed(std::int64_t key) const;
  void lift(const Arrivals& arrivals);
  void place();
  void join_all();
  void join(std::int64_t key, std::span<const SketchTile> held, std::span<const Arrived> added);
  void gather(std::span<const SketchTile> held, std::span<const Arrived> added);

  const std::vector<SketchTrack> tracks_;
  TrackAxes axes_;
  std::vector<SketchTile> joined_;
  std::vector<Arrived> arrived_;
  /// What is gathered for one tile.
  std::vector<Item> items_;
  std::vector<std::uint32_t> sketches_;
};

}  // namespace user_state
