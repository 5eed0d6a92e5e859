// Strings by number, in order of their first coming: how a batch names its users and texts.
//
// Users and texts are what senders chose, so the table goes by a keyed hash (codec/keyed_hash.hpp): eight bytes at a time
// are put together with what came before, and mixed.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "codec/bytes.hpp"
#include "codec/keyed_hash.hpp"

namespace user_state {

class StringTable {
 public:
  /// The code of a string, from 0; one that is new is added, and has to outlive the table.
  std::int64_t code_of(std::string_view text) {
    if (2 * (texts_.size() + 1) > slots_.size()) grow();
    std::uint64_t hash = hash_of(text);
    std::size_t at = hash & mask_;
    for (; slots_[at].code != kFree; at = (at + 1) & mask_) {
      if (slots_[at].hash == hash && texts_[slots_[at].code] == text) return slots_[at].code;
    }
    auto code = static_cast<std::uint32_t>(texts_.size());
    slots_[at] = {hash, code};
    texts_.push_back(text);
    return code;
  }

  /// The same; one that is new is copied to `kept`, which has to outlive the table.
  std::int64_t code_of_copy(std::string_view text, std::deque<std::string>& kept) {
    std::size_t before = texts_.size();
    std::int64_t code = code_of(text);
    if (texts_.size() > before) texts_.back() = kept.emplace_back(text);
    return code;
  }

  std::size_t size() const { return texts_.size(); }
  const std::vector<std::string_view>& texts() const { return texts_; }
  std::string_view operator[](std::int64_t code) const { return texts_[static_cast<std::size_t>(code)]; }

 private:
  static constexpr std::uint32_t kFree = 0xFFFFFFFF;
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t code = kFree;
  };

  std::uint64_t hash_of(std::string_view text) const {
    std::uint64_t hash = text.size();
    std::size_t at = 0;
    for (; at + 8 <= text.size(); at += 8) hash = hash_(hash ^ load<std::uint64_t>(text.data() + at));
    if (at == text.size()) return at == 0 ? hash_(hash) : hash;
    std::uint64_t last = 0;
    std::memcpy(&last, text.data() + at, text.size() - at);
    return hash_(hash ^ last);
  }

  void grow() {
    constexpr std::size_t kLeast = 64;
    std::vector<Slot> before = std::move(slots_);
    slots_.assign(std::max(kLeast, 2 * before.size()), Slot{});
    mask_ = slots_.size() - 1;
    for (const Slot& slot : before) {
      if (slot.code == kFree) continue;
      std::size_t at = slot.hash & mask_;
      while (slots_[at].code != kFree) at = (at + 1) & mask_;
      slots_[at] = slot;
    }
  }

  const KeyedHash hash_;
  std::vector<std::string_view> texts_;
  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
};

}  // namespace user_state
