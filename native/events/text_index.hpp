// Which of a schema's names or symbols a text is.
//
// The names are the schema's, and only the texts that are looked up are senders': so an ordinary hash is enough, and no
// text costs more than the longest run of names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/xxh64.hpp"

namespace user_state {

class TextIndex {
 public:
  TextIndex() = default;
  explicit TextIndex(std::vector<std::string> texts) : texts_(std::move(texts)) {
    std::size_t slots = 4;
    while (slots < 2 * texts_.size()) slots *= 2;
    slots_.assign(slots, kFree);
    for (std::uint32_t number = 0; number < texts_.size(); ++number) {
      std::uint32_t& slot = slot_of(texts_[number]);
      if (slot == kFree) slot = number;
    }
  }

  /// The text's number, from 0: the first of equal ones; kFree if it is none of them.
  std::uint32_t number_of(std::string_view text) const {
    return slots_.empty() ? kFree : const_cast<TextIndex*>(this)->slot_of(text);
  }
  std::string_view operator[](std::uint32_t number) const { return texts_[number]; }
  std::size_t size() const { return texts_.size(); }

  static constexpr std::uint32_t kFree = 0xFFFFFFFF;

 private:
  std::uint32_t& slot_of(std::string_view text) {
    std::size_t mask = slots_.size() - 1, at = xxh64(text, 0) & mask;
    while (slots_[at] != kFree && texts_[slots_[at]] != text) at = (at + 1) & mask;
    return slots_[at];
  }

  std::vector<std::string> texts_;
  std::vector<std::uint32_t> slots_;
};

}  // namespace user_state
