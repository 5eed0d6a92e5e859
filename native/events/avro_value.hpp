// Avro's primitive values, cut out of bytes as strictly as a writer writes them, with words for what is wrong.
//
//   string, bytes   zigzag varint length, bytes       int, long   zigzag varint, shortest form
//   double          8 bytes little-endian             float       4 bytes little-endian
//   boolean         0 or 1                            enum        zigzag varint index
//   union           zigzag varint branch, value       fixed       its bytes
//   null            nothing
//
// What values are made of others is `avro_program.hpp`'s.
//
// Source: Apache Avro 1.12 specification, "Binary encoding".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "codec/bytes.hpp"

namespace user_state {

/// A value where it lies: text and bytes are not copied.
struct AvroValue {
  /// kUuid has 16 bytes; kDecimal has the unscaled number as big-endian bytes, and its scale in `integer`. kList stands
  /// for the values of an array, which lie elsewhere; kOther for what is none of these.
  enum class Is : std::uint8_t { kNull, kBoolean, kInteger, kReal, kText, kBytes, kUuid, kDecimal, kList, kOther };

  static AvroValue of_integer(std::int64_t integer, Is is = Is::kInteger) { return {is, integer, 0, {}}; }
  static AvroValue of_real(double real) { return {Is::kReal, 0, real, {}}; }
  static AvroValue of_text(std::string_view text, Is is = Is::kText) { return {is, 0, 0, text}; }

  Is is = Is::kNull;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text;
};

/// Thrown for bytes that are no value. The words are for people, and have nothing of the bytes' content in them.
struct Unreadable {
  std::string why;
  /// Which field, such as `device.os`, `tags[]` or `attributes{}`, and at which byte it begins; empty if none is known.
  std::string field = {};
  std::size_t at = 0;

  /// Says that it lies in the field, or part, `outer`, which begins at a byte.
  void lies_in(std::string_view outer, std::size_t begin) {
    if (field.empty()) at = begin;
    bool is_part = field.starts_with('[') || field.starts_with('{');
    field = std::string(outer) + (field.empty() || is_part ? "" : ".") + field;
  }
};

/// Reads the bytes of one or more records front to back.
class BodyCursor {
 public:
  explicit BodyCursor(std::string_view bytes) : begin_(bytes.data()), at_(begin_), end_(begin_ + bytes.size()) {}

  /// How many bytes were read, and how many are left.
  std::size_t at() const { return static_cast<std::size_t>(at_ - begin_); }
  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }
  /// The bytes from one place to here.
  std::string_view since(std::size_t place) const { return {begin_ + place, at() - place}; }

  std::string_view bytes(std::uint64_t size) {
    if (size > left()) [[unlikely]] throw_cut(size);
    std::string_view taken(at_, size);
    at_ += size;
    return taken;
  }
  std::uint8_t byte() { return static_cast<std::uint8_t>(bytes(1)[0]); }
  template <class T>
  T take() {
    return load<T>(bytes(sizeof(T)).data());
  }

  /// An Avro long in its shortest form, the only one that a writer writes.
  std::int64_t avro_long() {
    if (at_ != end_ && (*at_ & 0x80) == 0) [[likely]] return unfolded(static_cast<std::uint8_t>(*at_++));
    return longer_avro_long();
  }
  /// An Avro int, which has at most 32 bits.
  std::int64_t avro_int() {
    std::int64_t number = avro_long();
    if (number != static_cast<std::int32_t>(number)) [[unlikely]] throw_beyond_int();
    return number;
  }
  bool avro_boolean() {
    std::uint8_t byte = this->byte();
    if (byte > 1) [[unlikely]] throw_no_boolean();
    return byte != 0;
  }
  /// The bytes of an Avro string or bytes.
  std::string_view avro_bytes();
  /// The bytes of an Avro string, which are UTF-8.
  std::string_view avro_text();

 private:
  [[noreturn]] void throw_cut(std::uint64_t size) const;
  [[noreturn]] static void throw_beyond_int();
  [[noreturn]] static void throw_no_boolean();
  std::int64_t longer_avro_long();

  const char* begin_;
  const char* at_;
  const char* end_;
};

}  // namespace user_state
