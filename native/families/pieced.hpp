// Columns of which most is copied from the section that was read: what a batch did not change is never taken apart.
#pragma once

#include <string_view>
#include <vector>

#include "codec/bytes.hpp"

namespace user_state {

/// A column to be written, put together from pieces of the stored one and from new numbers.
template <class T>
class PiecedColumn {
 public:
  void clear() { pieces_.clear(), numbers_.clear(); }

  /// Appends bytes as they are stored; they have to be there still when this is written.
  void copy(std::string_view stored) { pieces_.push_back({stored, 0}); }

  void put(T number) {
    if (pieces_.empty() || pieces_.back().numbers == 0) pieces_.push_back({{}, 0});
    ++pieces_.back().numbers;
    numbers_.push_back(number);
  }

  void write(Writer& out) const {
    const T* next = numbers_.data();
    for (const Piece& piece : pieces_) {
      out.bytes(piece.stored);
      out.bytes({reinterpret_cast<const char*>(next), piece.numbers * sizeof(T)});
      next += piece.numbers;
    }
  }

 private:
  /// Stored bytes, or so many of the new numbers.
  struct Piece {
    std::string_view stored;
    std::size_t numbers;
  };

  std::vector<Piece> pieces_;
  std::vector<T> numbers_;
};

/// Columns that are to be written, partly as they are stored; beside `Stored` and `Fresh` of columns.hpp.
struct Pieced {
  template <class T>
  using Column = PiecedColumn<T>;
};

}  // namespace user_state
