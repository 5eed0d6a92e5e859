// Keys of groups as they lie in a section: all first parts that are strings, then all second and all third ones, by
// their number in the record's dictionary; and so for parts that are no strings, folded (0, -1, 1, -2 as 0, 1, 2, 3).
// Each of these is a narrow column. Keys of one group ascend, part by part, as these numbers. A rest has no key, and is
// no row here.
//
// An event changes few groups of the many that a record may have. The keys of the others are looked through where they
// are, each column in loops of its own width, and copied from there. Taken apart into numbers of eight bytes, all keys
// cost a quarter of what one event does in a record of a hundred thousand.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <ranges>
#include <span>
#include <vector>

#include "codec/narrow.hpp"
#include "families/keyed/keyed_rows.hpp"

namespace user_state {

class StoredKeys {
  /// Parts of keys that lie side by side, in the section or among fresh ones.
  struct Piece {
    bool stored;
    std::size_t column, begin, size;

    auto places() const { return std::views::iota(begin, begin + size); }
    std::span<const std::uint64_t> of(const KeyParts& fresh) const {
      return std::span(fresh[column]).subspan(begin, size);
    }
  };

 public:
  explicit StoredKeys(const KeyShapes& shapes) : columns_(shapes) {}

  /// Groups of a section are added one after the other, and are stored ones from then on.
  void begin() { sizes_ = {}; }
  template <class Group>
  void add(Group& group) {
    group.stored = true;
    for (std::size_t column = 0; column < columns_.parts_of(group.track); ++column) {
      std::size_t& size = sizes_[columns_.holds(group.track, column, true)][column];
      group.places[column] = static_cast<std::uint32_t>(size);
      size += group.keys;
    }
  }
  /// How many parts of strings, or of others, the keys of all groups have.
  std::size_t parts(bool text) const { return std::accumulate(sizes_[text].begin(), sizes_[text].end(), std::size_t{0}); }

  /// Finds the keys of all groups in columns of as many numbers, and refuses those that no writer makes; the
  /// record's dictionary has so many `strings`.
  template <class Group>
  void read(const NarrowView& texts, const NarrowView& others, std::vector<Group>& groups, std::size_t strings) {
    texts_ = texts, others_ = others;
    strings_ = strings;
    need(std::max(texts.size(), others.size()) <= std::numeric_limits<std::uint32_t>::max());
    if (columns_.height() > 1) place(groups);
    for (Group& group : groups) check(group);
  }

  /// Calls `see` with each string's number of a group whose keys are one string each, in order.
  template <class Group, class See>
  void each_text(const Group& group, See see) const {
    texts_.typed([&]<class T>(const char* texts, T) {
      const char* at = texts + sizeof(T) * group.places[0];
      for (std::size_t row = 0; row < group.keys; ++row) see(row, load<T>(at + sizeof(T) * row));
    });
  }

  /// Calls `see(row, key)` with each key of a stored group, in order.
  template <class Group, class See>
  void each_key(const Group& group, See see) const {
    std::size_t parts = columns_.parts_of(group.track);
    if (!columns_.all_texts(group.track)) {
      for (std::size_t row = 0; row < group.keys; ++row) see(row, key(group, row));
      return;
    }
    texts_.typed([&]<class T>(const char* texts, T) {
      for (std::size_t row = 0; row < group.keys; ++row) {
        Key made{};
        for (std::size_t column = 0; column < parts; ++column) {
          made[column] = load<T>(texts + sizeof(T) * (group.places[column] + row)) - std::uint64_t{1};
        }
        see(row, made);
      }
    });
  }

  /// The key of a row of a stored group.
  template <class Group>
  Key key(const Group& group, std::size_t row) const {
    Key made{};
    for (std::size_t column = 0; column < columns_.parts_of(group.track); ++column) {
      std::size_t at = group.places[column] + row;
      // Codes are numbers less one; those were looked at.
      made[column] = columns_.holds(group.track, column, true) ? texts_[at] - 1 : others_[at];
    }
    return made;
  }

  /// Finds out, of groups as they are to be written, which of their keys lie side by side.
  template <class Group>
  void lay_out(const std::vector<Group>& groups) {
    greatest_text_ = 0;
    for (const Group& group : groups) greatest_text_ = std::max(greatest_text_, group.greatest_text);
    for (bool text : {false, true}) {
      pieces_[text].clear();
      for (std::size_t column = 0; column < columns_.height(); ++column) {
        if (!columns_.any(column, text)) continue;
        each_piece(
            groups, [&](const Group& group) { return columns_.holds(group.track, column, text); },
            [&](const Group& group) { return group.stored ? group.places[column] : group.at; },
            [&](bool stored, std::size_t begin, std::size_t size) {
              pieces_[text].push_back({stored, column, begin, size});
            });
      }
    }
  }

  // After `lay_out`; `fresh` has the keys of those groups that are not stored.

  void use(const KeyParts& fresh, Strings& strings) const {
    for (const Piece& piece : pieces_[true]) {
      if (!piece.stored) {
        for (std::uint64_t part : piece.of(fresh)) strings.use(code_of(part));
        continue;
      }
      texts_.typed([&]<class T>(const char* texts, T) {
        for (std::size_t at : piece.places()) strings.use(code_of(load<T>(texts + sizeof(T) * at) - 1));
      });
    }
  }

  /// How many bytes the numbers of strings need, once they have theirs.
  std::uint8_t text_width(const KeyParts& fresh, const Strings& strings) const {
    // Strings keep their order, so the greatest number is that of the same string.
    std::uint64_t greatest = greatest_text_ > 0 ? strings.number(std::int64_t{greatest_text_} - 1) : 0;
    for (const Piece& piece : pieces_[true]) {
      if (piece.stored) continue;
      for (std::uint64_t part : piece.of(fresh)) greatest = std::max(greatest, strings.number(code_of(part)));
    }
    return Writer::width_of(greatest);
  }

  /// How many bytes other parts need.
  std::uint8_t other_width(const KeyParts& fresh) const {
    std::uint64_t bits = 0;
    for (const Piece& piece : pieces_[false]) {
      if (piece.stored) {
        for (std::size_t at : piece.places()) bits |= others_[at];
      } else {
        for (std::uint64_t part : piece.of(fresh)) bits |= part;
      }
    }
    return Writer::width_of(bits);
  }

  void put_texts(Writer& out, std::uint8_t width, const KeyParts& fresh, const Strings& strings) const {
    bool unmoved = width == texts_.width() && greatest_text_ <= strings.unmoved();
    for (const Piece& piece : pieces_[true]) {
      if (!piece.stored) {
        out.narrow(width, piece.of(fresh), [&](std::uint64_t part) { return strings.number(code_of(part)); });
      } else if (unmoved) {
        texts_.put(out, width, piece.begin, piece.size);
      } else {
        texts_.typed([&]<class T>(const char* texts, T) {
          out.narrow(width, piece.places(),
                     [&](std::size_t at) { return strings.number(code_of(load<T>(texts + sizeof(T) * at) - 1)); });
        });
      }
    }
  }

  void put_others(Writer& out, std::uint8_t width, const KeyParts& fresh) const {
    for (const Piece& piece : pieces_[false]) {
      if (piece.stored) {
        others_.put(out, width, piece.begin, piece.size);
      } else {
        out.narrow(width, piece.of(fresh), [](std::uint64_t part) { return part; });
      }
    }
  }

 private:
  static std::int64_t code_of(std::uint64_t part) { return static_cast<std::int64_t>(part); }

  /// All first parts stand before all second ones, and those before all third ones.
  template <class Group>
  void place(std::vector<Group>& groups) const {
    for (Group& group : groups) {
      for (std::size_t column = 1; column < columns_.parts_of(group.track); ++column) {
        const auto& sizes = sizes_[columns_.holds(group.track, column, true)];
        group.places[column] += static_cast<std::uint32_t>(std::accumulate(sizes.begin(), sizes.begin() + column, std::size_t{0}));
      }
    }
  }

  template <class Group>
  void check(Group& group) const {
    std::size_t height = columns_.parts_of(group.track);
    bool others = false;
    for (std::size_t column = 0; column < height; ++column) {
      if (columns_.holds(group.track, column, true)) {
        need(group.keys == 0 || texts_.width() > 0);
        continue;
      }
      others = true;
      for (std::size_t row = 0; row < group.keys; ++row) {
        need(others_[group.places[column] + row] != folded(kNullInt));
      }
    }
    texts_.typed([&]<class T>(const char* texts, T) {
      for (std::size_t column = 0; column < height; ++column) {
        // First parts alone ascend where there are no others between: the first is the least, the last the greatest.
        bool ends = column == 0 && !others;
        if (columns_.holds(group.track, column, true)) check_texts<T>(texts + sizeof(T) * group.places[column], ends, group);
      }
      if (!others && group.keys > 0) need(ascend_all<T>(texts, group, height));
    });
    if (!others) return;
    for (std::size_t row = 1; row < group.keys; ++row) need(key(group, row - 1) < key(group, row));
  }

  /// Refuses numbers that name no string of the record; where they ascend, only their ends need to be looked at.
  template <class T, class Group>
  void check_texts(const char* at, bool ends, Group& group) const {
    T least = 1, greatest = 0;
    std::size_t step = ends && group.keys > 1 ? group.keys - 1 : 1;
    for (std::size_t row = 0; row < group.keys; row += step) {
      T number = load<T>(at + sizeof(T) * row);
      least = std::min(least, number);
      greatest = std::max(greatest, number);
    }
    need(least > 0 && greatest <= strings_);
    group.greatest_text = std::max(group.greatest_text, static_cast<std::uint32_t>(greatest));
  }

  /// Whether keys of strings alone ascend, as they do where they are written: by their first part, then by the next.
  template <class T, class Group>
  bool ascend_all(const char* texts, const Group& group, std::size_t height) const {
    if (height == 1) return ascend<T>(texts + sizeof(T) * group.places[0], group.keys, true);
    bool ascending = true;
    for (std::size_t row = 1; row < group.keys; ++row) {
      bool after = false;
      for (std::size_t column = height; column-- > 0;) {
        const char* at = texts + sizeof(T) * (group.places[column] + row);
        T before = load<T>(at - sizeof(T)), number = load<T>(at);
        after = (number > before) | ((number == before) & after);
      }
      ascending &= after;
    }
    return ascending;
  }

  const KeyShapes& columns_;
  /// By whether they are strings, and by column: how many parts the groups have that were added.
  std::array<std::array<std::size_t, kMostKeyColumns>, 2> sizes_{};
  NarrowView texts_, others_;
  /// How many strings the record's dictionary has.
  std::uint64_t strings_ = 0;
  /// Of all groups as they are to be written.
  std::uint32_t greatest_text_ = 0;
  std::array<std::vector<Piece>, 2> pieces_;
};

}  // namespace user_state
