// The hash of tables in memory: nobody outside this process can choose numbers that meet in them.
//
// Hashes of event ids and values of fields are what a sender chose: xxh64 with seed 0 is public, and ids whose hashes
// end in the same bits are made by the thousand. A table that looked them up by those bits would be one long chain, and
// a batch of n ids cost n^2. So tables go by a keyed hash, whose key each process draws anew. Nothing that is stored,
// and no order, may depend on it.
//
// The mixing is that of wyhash: the halves of a product of 128 bits, put together, twice, with a secret word in each
// factor. Source: Wang Yi, "wyhash", final version 4, `_wymix`.
#pragma once

#include <array>
#include <cstdint>
#include <random>

namespace user_state {

class KeyedHash {
 public:
  /// All bits of it are of use.
  std::uint64_t operator()(std::uint64_t number) const {
    return mixed(mixed(number ^ key_[0], key_[1]) ^ key_[2], key_[3]);
  }

 private:
  using Key = std::array<std::uint64_t, 4>;
  __extension__ using Wide = unsigned __int128;

  /// From what the system has for it. Odd, so that no factor is 0.
  static Key drawn() {
    std::random_device chance;
    Key made{};
    for (std::uint64_t& word : made) word = (std::uint64_t{chance()} << 32 | chance()) | 1;
    return made;
  }

  /// Drawn when the library is loaded, not at first use: a process that forks meanwhile would leave its child waiting.
  inline static const Key process_key = drawn();

  static std::uint64_t mixed(std::uint64_t number, std::uint64_t factor) {
    Wide product = static_cast<Wide>(number) * factor;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  /// A copy, which lies where it is used.
  Key key_ = process_key;
};

}  // namespace user_state
