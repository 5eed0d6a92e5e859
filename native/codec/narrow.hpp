// Columns of whole numbers in as few bytes a number as the largest of them needs: 1, 2, 4 or 8, or none for a column of
// zeros. A section says beforehand how many.
#pragma once

#include <cstdint>
#include <ranges>
#include <string_view>
#include <vector>

#include "codec/bytes.hpp"

namespace user_state {

/// A narrow column of a section, to be looked at where it is.
class NarrowView {
 public:
  NarrowView() = default;
  NarrowView(Reader& in, std::uint8_t width, std::size_t size) : size_(size), width_(width) {
    need(width == 0 || width == 1 || width == 2 || width == 4 || width == 8, "a column of a width that there is not");
    // Zeros take no bytes: a number of them gone bad must not cost all time.
    need(size <= kMost, "a column of more numbers than any has");
    bytes_ = in.bytes(width * size);
  }

  std::size_t size() const { return size_; }
  std::uint8_t width() const { return width_; }

  std::uint64_t operator[](std::size_t at) const {
    const char* from = bytes_.data() + at * width_;
    switch (width_) {
      case 0: return 0;
      case 1: return load<std::uint8_t>(from);
      case 2: return load<std::uint16_t>(from);
      case 4: return load<std::uint32_t>(from);
      default: return load<std::uint64_t>(from);
    }
  }

  /// Puts some of them in a column of `width` bytes a number, which is enough for each.
  void put(Writer& out, std::uint8_t width, std::size_t begin, std::size_t size) const {
    if (width == width_) return out.bytes(bytes_.substr(begin * width, size * width));
    out.narrow(width, std::views::iota(begin, begin + size), [this](std::size_t at) { return (*this)[at]; });
  }

  /// Calls `see` with where the numbers lie and a number of the type they have; not for a column of zeros.
  template <class See>
  void typed(See see) const {
    switch (width_) {
      case 0: return;
      case 1: return see(bytes_.data(), std::uint8_t{});
      case 2: return see(bytes_.data(), std::uint16_t{});
      case 4: return see(bytes_.data(), std::uint32_t{});
      default: return see(bytes_.data(), std::uint64_t{});
    }
  }

 private:
  static constexpr std::size_t kMost = std::size_t{1} << 28;

  std::string_view bytes_;
  std::size_t size_ = 0;
  std::uint8_t width_ = 0;
};

/// A narrow column on its way out.
class NarrowNumbers {
 public:
  void clear() {
    numbers_.clear();
    bits_ = 0;
  }
  void add(std::uint64_t number) {
    numbers_.push_back(number);
    bits_ |= number;
  }
  std::size_t size() const { return numbers_.size(); }
  std::uint64_t operator[](std::size_t at) const { return numbers_[at]; }
  std::uint8_t width() const { return Writer::width_of(bits_); }
  void write(Writer& out) const {
    out.narrow(width(), numbers_, [](std::uint64_t number) { return number; });
  }

 private:
  std::vector<std::uint64_t> numbers_;
  /// Those that any number has, of which the largest needs as many bytes as all together.
  std::uint64_t bits_ = 0;
};

}  // namespace user_state
