// What keys of each track consist of: up to three parts, each a string or another whole number.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>
#include <vector>


namespace user_state {

constexpr std::size_t kMostKeyColumns = 3;
constexpr std::uint64_t kMostKeys = 1 << 14;

class KeyShapes {
 public:
  KeyShapes() = default;
  /// Of each track's keys: which parts are strings.
  explicit KeyShapes(const std::vector<std::vector<bool>>& texts) {
    for (const std::vector<bool>& parts : texts) {
      if (parts.size() > kMostKeyColumns) throw std::invalid_argument("expected keys of at most three fields");
      Shape& shape = shapes_.emplace_back(Shape{static_cast<std::uint8_t>(parts.size()), 0});
      height_ = std::max(height_, parts.size());
      for (std::size_t column = 0; column < parts.size(); ++column) {
        shape.texts |= static_cast<std::uint8_t>(parts[column] << column);
        any_[parts[column]][column] = true;
      }
    }
  }

  std::size_t tracks() const { return shapes_.size(); }
  /// How many parts the longest keys have.
  std::size_t height() const { return height_; }
  /// How many parts the keys of a track have.
  std::size_t parts_of(int track) const { return shapes_[static_cast<std::size_t>(track)].parts; }
  /// Whether keys of a track have such a part, of strings or of others.
  bool holds(int track, std::size_t column, bool text) const {
    Shape shape = shapes_[static_cast<std::size_t>(track)];
    return column < shape.parts && (shape.texts >> column & 1) == text;
  }
  /// Whether keys of any track have such a part.
  bool any(std::size_t column, bool text) const { return any_[text][column]; }
  /// Whether keys of a track are of strings alone.
  bool all_texts(int track) const {
    Shape shape = shapes_[static_cast<std::size_t>(track)];
    return shape.texts + 1u == 1u << shape.parts;
  }
  /// Whether keys of a track are one string each.
  bool one_text(int track) const { return parts_of(track) == 1 && holds(track, 0, true); }

 private:
  /// How many parts keys have, and a bit for each of them that is a string.
  struct Shape {
    std::uint8_t parts, texts;
  };

  std::vector<Shape> shapes_;
  std::array<std::array<bool, kMostKeyColumns>, 2> any_{};
  std::size_t height_ = 0;
};

/// What sections with keys are cut by where nothing is to be counted, since they are written or described.
struct KeyedShape {
  template <class Columns>
  void count(const Columns&) const {}
  std::size_t texts() const { return 0; }
  std::size_t numbers() const { return 0; }
  std::size_t keys() const { return 0; }
  std::size_t rests() const { return 0; }
  std::size_t summed() const { return 0; }
  std::size_t summed_rests() const { return 0; }
};

}  // namespace user_state
