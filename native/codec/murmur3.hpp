// MurmurHash3, 128 bits, for x64. Source: Appleby, "MurmurHash3", the variant called x64_128.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace user_state {

class Murmur3 {
 public:
  struct Halves {
    std::uint64_t first, second;
  };

  static Halves hash(std::string_view bytes, std::uint64_t seed) {
    Halves sum{seed, seed};
    std::size_t at = 0;
    for (; bytes.size() - at >= kBlock; at += kBlock) {
      Halves block = block_of(bytes.substr(at, kBlock));
      sum.first = (std::rotl(sum.first ^ block.first, 27) + sum.second) * 5 + 0x52DCE729;
      sum.second = (std::rotl(sum.second ^ block.second, 31) + sum.first) * 5 + 0x38495AB5;
    }
    // What is left is filled up with zeros, which leave the sum as it is.
    Halves rest = block_of(bytes.substr(at));
    sum.first ^= rest.first ^ bytes.size();
    sum.second ^= rest.second ^ bytes.size();
    add_up(sum);
    sum = {avalanche(sum.first), avalanche(sum.second)};
    add_up(sum);
    return sum;
  }

 private:
  static constexpr std::size_t kBlock = 16;
  static constexpr std::uint64_t kC1 = 0x87C37B91114253D5, kC2 = 0x4CF5AD432745937F;

  static Halves block_of(std::string_view bytes) {
    std::uint64_t lanes[2] = {0, 0};
    std::memcpy(lanes, bytes.data(), std::min(bytes.size(), kBlock));
    return {std::rotl(lanes[0] * kC1, 31) * kC2, std::rotl(lanes[1] * kC2, 33) * kC1};
  }

  static void add_up(Halves& sum) {
    sum.first += sum.second;
    sum.second += sum.first;
  }

  static std::uint64_t avalanche(std::uint64_t bits) {
    bits = (bits ^ (bits >> 33)) * 0xFF51AFD7ED558CCD;
    bits = (bits ^ (bits >> 33)) * 0xC4CEB9FE1A85EC53;
    return bits ^ (bits >> 33);
  }
};

}  // namespace user_state
