// xxHash, 64 bits. Source: Collet, "xxHash fast digest algorithm", specification 0.1.1.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace user_state {

class Xxh64 {
 public:
  static std::uint64_t hash(std::string_view bytes, std::uint64_t seed) {
    const char* at = bytes.data();
    const char* end = at + bytes.size();
    std::uint64_t sum;
    if (bytes.size() >= 32) {
      std::uint64_t lanes[4] = {seed + kP1 + kP2, seed + kP2, seed, seed - kP1};
      for (; end - at >= 32; at += 32) {
        for (int lane = 0; lane < 4; ++lane) lanes[lane] = round(lanes[lane], load<std::uint64_t>(at + 8 * lane));
      }
      sum = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
      for (std::uint64_t lane : lanes) sum = (sum ^ round(0, lane)) * kP1 + kP4;
    } else {
      sum = seed + kP5;
    }
    sum += bytes.size();
    for (; end - at >= 8; at += 8) sum = std::rotl(sum ^ round(0, load<std::uint64_t>(at)), 27) * kP1 + kP4;
    if (end - at >= 4) {
      sum = std::rotl(sum ^ load<std::uint32_t>(at) * kP1, 23) * kP2 + kP3;
      at += 4;
    }
    for (; at < end; ++at) sum = std::rotl(sum ^ static_cast<std::uint8_t>(*at) * kP5, 11) * kP1;
    sum = (sum ^ (sum >> 33)) * kP2;
    sum = (sum ^ (sum >> 29)) * kP3;
    return sum ^ (sum >> 32);
  }

 private:
  static constexpr std::uint64_t kP1 = 0x9E3779B185EBCA87, kP2 = 0xC2B2AE3D27D4EB4F, kP3 = 0x165667B19E3779F9,
                                 kP4 = 0x85EBCA77C2B2AE63, kP5 = 0x27D4EB2F165667C5;

  static std::uint64_t round(std::uint64_t sum, std::uint64_t lane) { return std::rotl(sum + lane * kP2, 31) * kP1; }

  template <class T>
  static std::uint64_t load(const char* at) {
    T value;
    std::memcpy(&value, at, sizeof(T));
    return value;
  }
};

inline std::uint64_t xxh64(std::string_view bytes, std::uint64_t seed) { return Xxh64::hash(bytes, seed); }

}  // namespace user_state
