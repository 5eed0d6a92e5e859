#include "codec/crc32c.hpp"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace user_state {

namespace {

/// x^32 + x^28 + ... + 1 of Castagnoli, reflected.
constexpr std::uint32_t kPolynomial = 0x82F63B78;

using Table = std::array<std::uint32_t, 256>;

/// Table k says what a byte comes to that k bytes of zeros follow: eight bytes are looked up at once. Source: Kounavis,
/// Berry, "A systematic approach to building high performance software-based CRC generators", ISCC 2005.
constexpr std::array<Table, 8> kTables = [] {
  std::array<Table, 8> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ kPolynomial : crc >> 1;
    tables[0][byte] = crc;
  }
  for (std::size_t zeros = 1; zeros < tables.size(); ++zeros) {
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      std::uint32_t crc = tables[zeros - 1][byte];
      tables[zeros][byte] = crc >> 8 ^ tables[0][crc & 0xFF];
    }
  }
  return tables;
}();

std::uint64_t load_word(const char* at) {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

std::uint32_t with_byte(std::uint32_t crc, char byte) {
  return crc >> 8 ^ kTables[0][(crc ^ static_cast<std::uint8_t>(byte)) & 0xFF];
}

#if defined(__x86_64__)

/// The instruction has to wait three cycles for its last result, and can begin one each cycle: three parts of a block
/// are taken at a time, and what they come to is put together. Source: Gopal et al., "Fast CRC computation for iSCSI
/// polynomial using CRC32 instruction", Intel 2011.
constexpr std::size_t kPart = 256;

/// What a CRC comes to that `kPart` bytes of zeros follow, by each of its bytes.
constexpr std::array<Table, 4> kPartOfZeros = [] {
  // The operation is linear: what single bits come to says what all do.
  std::array<std::uint32_t, 32> of_bit{};
  for (std::uint32_t bit = 0; bit < 32; ++bit) {
    std::uint32_t crc = 1u << bit;
    for (std::size_t byte = 0; byte < kPart; ++byte) crc = crc >> 8 ^ kTables[0][crc & 0xFF];
    of_bit[bit] = crc;
  }
  std::array<Table, 4> tables{};
  for (std::uint32_t place = 0; place < 4; ++place) {
    for (std::uint32_t byte = 0; byte < 256; ++byte) {
      for (std::uint32_t bit = 0; bit < 8; ++bit) {
        if (byte >> bit & 1) tables[place][byte] ^= of_bit[8 * place + bit];
      }
    }
  }
  return tables;
}();

std::uint32_t followed_by_zeros(std::uint32_t crc) {
  return kPartOfZeros[0][crc & 0xFF] ^ kPartOfZeros[1][crc >> 8 & 0xFF] ^ kPartOfZeros[2][crc >> 16 & 0xFF] ^
         kPartOfZeros[3][crc >> 24];
}

__attribute__((target("sse4.2"))) std::uint32_t by_instruction(std::string_view bytes) {
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint64_t crc = 0xFFFFFFFF;
  for (; left >= 3 * kPart; left -= 3 * kPart, at += 3 * kPart) {
    std::uint64_t second = 0, third = 0;
    for (std::size_t word = 0; word < kPart; word += 8) {
      crc = _mm_crc32_u64(crc, load_word(at + word));
      second = _mm_crc32_u64(second, load_word(at + kPart + word));
      third = _mm_crc32_u64(third, load_word(at + 2 * kPart + word));
    }
    crc = followed_by_zeros(static_cast<std::uint32_t>(crc)) ^ second;
    crc = followed_by_zeros(static_cast<std::uint32_t>(crc)) ^ third;
  }
  for (; left >= 8; left -= 8, at += 8) crc = _mm_crc32_u64(crc, load_word(at));
  auto rest = static_cast<std::uint32_t>(crc);
  for (; left > 0; --left) rest = with_byte(rest, *at++);
  return ~rest;
}

/// Settled as the library is loaded.
const bool has_instruction = [] {
  __builtin_cpu_init();
  return __builtin_cpu_supports("sse4.2") != 0;
}();

#endif

}  // namespace

std::uint32_t crc32c_portable(std::string_view bytes) {
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  std::uint32_t crc = 0xFFFFFFFF;
  for (; left >= 8; left -= 8, at += 8) {
    std::uint64_t word = load_word(at) ^ crc;
    crc = 0;
    for (std::size_t byte = 0; byte < 8; ++byte) crc ^= kTables[7 - byte][word >> 8 * byte & 0xFF];
  }
  for (; left > 0; --left) crc = with_byte(crc, *at++);
  return ~crc;
}

std::uint32_t crc32c(std::string_view bytes) {
#if defined(__x86_64__)
  if (has_instruction) return by_instruction(bytes);
#endif
  return crc32c_portable(bytes);
}

}  // namespace user_state
