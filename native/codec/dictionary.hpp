// A record's dictionary in bytes: every string that its sections point into, once, in order of text. Sections name a string
// by its number, from 1 on; 0 is null. A dictionary of no strings has no bytes.
#pragma once

#include <string_view>

#include "families/columns.hpp"

namespace user_state {

template <class As>
struct DictionaryColumns {
  std::uint32_t strings = 0;
  typename As::template Column<std::uint16_t> lengths;
  typename As::template Column<std::uint8_t> texts;

  template <class Archive>
  void list(Archive& of) {
    of.number(strings, "how many strings");
    of.column(lengths, {strings, "string"}, "its length in bytes");
    of.column(texts, {total(lengths), "byte of all strings"}, "UTF-8, one string after the other");
  }
};

/// Looks at a dictionary where it is. Throws Corrupt for one that packing does not write.
DictionaryColumns<Stored> read_dictionary(std::string_view bytes);

/// All strings of a dictionary, one after the other.
inline std::string_view texts_of(const DictionaryColumns<Stored>& dictionary) {
  return dictionary.texts.bytes(0, dictionary.texts.size());
}

}  // namespace user_state
