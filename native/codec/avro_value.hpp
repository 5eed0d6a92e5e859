// Values of flat Avro records, cut out of bytes as strictly as user_state/events/flat_reader.py does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "codec/bytes.hpp"

namespace user_state {

/// How one value is read (user_state/events/flat_types.py).
struct FlatType {
  enum class Kind : std::uint8_t {
    kNull,
    kBoolean,
    kLong,
    kFloat,
    kDouble,
    kString,
    kBytes,
    kFloatOfLong,
    kBytesOfString,
    kEnum,
    kFixed,
    kUnion,
    kRefused
  };
  struct Symbol {
    bool known;
    std::string text;
  };

  Kind kind;
  std::size_t size = 0;
  std::vector<Symbol> symbols;
  std::vector<FlatType> branches;
};

/// A value where it lies: text and bytes are not copied. Text is not yet known to be UTF-8.
struct AvroValue {
  enum class Is : std::uint8_t { kNull, kBoolean, kInteger, kReal, kText, kBytes };

  static AvroValue of_integer(std::int64_t integer, Is is = Is::kInteger) { return {is, integer, 0, {}}; }
  static AvroValue of_real(double real) { return {Is::kReal, 0, real, {}}; }
  static AvroValue of_text(std::string_view text, Is is = Is::kText) { return {is, 0, 0, text}; }

  Is is = Is::kNull;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text;
};

/// Takes an Avro long in its shortest form, the only one that a writer writes.
inline std::int64_t take_avro_long(Reader& in) {
  constexpr int kLast = 63;
  std::uint64_t number = 0;
  for (int shift = 0; shift <= kLast; shift += 7) {
    auto byte = in.take<std::uint8_t>();
    number |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte > 0x7F) continue;
    need((byte != 0 || shift == 0) && (shift < kLast || byte == 1));
    return unfolded(number);
  }
  throw Declined{};
}

inline std::string_view take_avro_bytes(Reader& in) {
  std::int64_t size = take_avro_long(in);
  need(size >= 0);
  return in.bytes(static_cast<std::size_t>(size));
}

/// Takes one value, whose text the caller has to find to be UTF-8; throws Declined for bytes that are none.
AvroValue take_avro_value(const FlatType& type, Reader& in);

}  // namespace user_state
