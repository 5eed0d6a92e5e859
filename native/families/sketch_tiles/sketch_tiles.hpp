// Tiles that hold a few items or a sketch each: core/tile_items.py joins them, codec/sketch_tiles.py has their bytes.
// What items and sketches are is said by hlls.cpp and klls.cpp.
//
// Records are long and batches short: what a tile holds stays where it lies in the section unless the tile changes, and
// is written by copying it from there.
#pragma once

#include <deque>
#include <span>
#include <string_view>
#include <vector>

#include "families/family.hpp"

namespace user_state {

/// Numbers as they lie in a section: where, how many, and in how many bytes each.
struct Numbers {
  const char* at = nullptr;
  std::uint32_t size = 0;
  std::uint8_t width = 0;

  std::string_view bytes() const { return {at, std::size_t{size} * width}; }
  const char* end() const { return at + std::size_t{size} * width; }

  /// A floating-point number by its place.
  double real(std::uint32_t place) const {
    return width == sizeof(float) ? load<float>(at + sizeof(float) * place) : load<double>(at + sizeof(double) * place);
  }
  /// Whether floating-point numbers are the same in single precision.
  bool are_single() const;
  /// Writes floating-point numbers of `as_width` bytes.
  void write(Writer& out, std::uint8_t as_width) const;
};

/// Bytes of what tiles hold anew: they stay where they are, and memory for them is asked for once.
class Fresh {
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
  void read(Reader in, const Strings&) final;
  void fold(const Arrivals& arrivals, Strings&) final;
  void absorb(const Family& other, std::span<const int> becomes, std::int64_t clock_us, Strings&) final;
  void write(Writer& out, const Strings&) const final;

 protected:
  SketchTiles(std::vector<SketchTrack> tracks, const TrackAxes& axes) : tracks_(std::move(tracks)), axes_(axes) {}

  /// Returns what an event's field is in a tile.
  virtual Item item_of(const Events& events, int field, std::uint32_t row) const = 0;
  /// Takes in the sketches of tiles of these tracks, which are numbered from 0 on; numbers are of `width` bytes.
  virtual void read_sketches(Reader& in, std::span<const int> tracks, std::uint8_t width) = 0;
  /// Returns the number here of a sketch that another state of the same family holds, which stays there.
  virtual std::uint32_t borrow(const SketchTiles& other, std::uint32_t sketch) = 0;
  /// Returns the number of a new sketch of all that sketches and items, ascending, have seen.
  virtual std::uint32_t unite(int track, std::span<const std::uint32_t> sketches, std::span<const Item> items) = 0;
  /// Whether the numbers of a sketch are the same in single precision.
  virtual bool is_single(std::uint32_t) const { return false; }
  virtual void write_sketches(Writer& out, std::span<const std::uint32_t> sketches, std::uint8_t width) const = 0;

  Fresh fresh_;

 private:
  struct Tile {
    /// Start and track, as in core/tiles.py.
    std::int64_t key;
    /// None, if the tile holds a sketch.
    Numbers items;
    std::uint32_t sketch = 0;

    bool has_sketch() const { return items.size == 0; }
  };
  struct Arrived {
    std::int64_t key;
    Item item;

    bool operator<(const Arrived& other) const { return key != other.key ? key < other.key : item < other.item; }
  };

  std::uint8_t track_width() const { return tracks_.size() == 1 ? 0 : tracks_.size() <= 256 ? 1 : 2; }
  std::int64_t placed(std::int64_t key) const;
  void lift(const Arrivals& arrivals);
  void place();
  void join_all();
  void join(std::int64_t key, std::span<const Tile> held, std::span<const Arrived> added);
  void gather(std::span<const Tile> held, std::span<const Arrived> added);
  bool single() const;
  void write_items(Writer& out, std::uint8_t width) const;

  const std::vector<SketchTrack> tracks_;
  TrackAxes axes_;
  std::vector<Tile> tiles_, joined_;
  std::vector<Arrived> arrived_;
  /// Columns of a section, and what is gathered for one tile.
  std::vector<std::int64_t> starts_;
  std::vector<int> track_of_, dense_track_of_;
  std::vector<std::uint32_t> sizes_, high_;
  std::vector<Item> items_;
  mutable std::vector<std::uint32_t> sketches_;
};

}  // namespace user_state
