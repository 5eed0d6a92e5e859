// Keys among those of a call, and lists of the heaviest keys.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <numeric>
#include <span>
#include <vector>

#include "families/keyed/stored_keys.hpp"
#include "families/part.hpp"

namespace user_state::reading {

/// Of strings codes among those of the call, of other columns whole numbers; kNullWhole throughout for a rest.
using CallKey = std::array<std::int64_t, kMostKeyColumns>;
inline constexpr CallKey kRestKey{kNullWhole, kNullWhole, kNullWhole};

inline KeyShapes shapes_of(const std::vector<KeyedPart>& parts) {
  std::vector<std::vector<bool>> texts;
  for (const KeyedPart& part : parts) texts.push_back(part.texts);
  return KeyShapes(texts);
}

/// The key of a call that a key of a record's track is; `stored` is as StoredKeys has it.
inline CallKey of_call(const Key& stored, const KeyShapes& shapes, int track, const Row& row) {
  CallKey key{};
  for (std::size_t column = 0; column < shapes.parts_of(track); ++column) {
    key[column] = shapes.holds(track, column, true) ? row.first_code + static_cast<std::int64_t>(stored[column])
                                                    : unfolded(stored[column]);
  }
  return key;
}

/// Whole numbers that order as real ones do in single precision, NaN first: what lists are ordered by must not depend on
/// how a sum was rounded.
inline std::int64_t ordinal(double number) {
  if (std::isnan(number)) return -(std::int64_t{1} << 31);
  auto bits = std::bit_cast<std::int32_t>(static_cast<float>(number) + 0.0f);
  return bits < 0 ? -std::int64_t{bits & 0x7FFFFFFF} : bits;
}

/// The heaviest of keys that are added in their own order; of equal ones the first.
class Heaviest {
 public:
  void begin(int most) {
    most_ = static_cast<std::size_t>(most);
    size_ = 0;
  }

  void add(std::size_t key, std::int64_t weight) {
    if (size_ == most_) {
      if (most_ == 0 || weight <= listed_[most_ - 1].weight) return;
    } else {
      if (++size_ > listed_.size()) listed_.resize(2 * size_);
    }
    std::size_t at = size_ - 1;
    for (; at > 0 && listed_[at - 1].weight < weight; --at) listed_[at] = listed_[at - 1];
    listed_[at] = {key, weight};
  }

  std::size_t size() const { return size_; }
  std::size_t operator[](std::size_t at) const { return listed_[at].key; }

  /// Puts the keys of a list, of which `keys` has all, and returns where the columns beside them go on.
  std::size_t put_keys(int list, const KeyedPart& part, std::span<const CallKey> keys, const Row& row) const {
    row.out.lengths[list][row.at] = static_cast<std::int64_t>(size());
    std::size_t columns = part.texts.size();
    for (std::size_t column = 0; column < columns; ++column) {
      std::int64_t null = part.texts[column] ? kNullText : kNullWhole;
      put(list, column, row, null, [&](std::size_t key) { return keys[key][column]; });
    }
    return columns;
  }

  /// Puts one column of a list, padded with `null`.
  template <class CellOf>
  void put(int list, std::size_t column, const Row& row, std::int64_t null, CellOf cell_of) const {
    std::int64_t* to = row.out.grids[list][column] + row.at * most_;
    for (std::size_t at = 0; at < size(); ++at) to[at] = cell_of(listed_[at].key);
    std::fill(to + size(), to + most_, null);
  }
  template <class NumberOf>
  void put_real(int list, std::size_t column, const Row& row, NumberOf number_of) const {
    put(list, column, row, std::bit_cast<std::int64_t>(kNullReal),
        [&](std::size_t key) { return std::bit_cast<std::int64_t>(double{number_of(key)}); });
  }

 private:
  struct Listed {
    std::size_t key;
    std::int64_t weight;
  };

  std::size_t most_ = 0, size_ = 0;
  /// The first `size_` are those that are listed.
  std::vector<Listed> listed_;
};

/// Puts the places of keys in the order of those.
inline void in_order(std::span<const CallKey> keys, std::vector<std::size_t>& order) {
  order.resize(keys.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  auto before = [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; };
  // Those of one group are in order already, but for numbers below 0.
  if (!std::ranges::is_sorted(order, before)) std::ranges::sort(order, before);
}

}  // namespace user_state::reading
