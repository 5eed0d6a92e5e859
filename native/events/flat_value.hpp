// Values of flat Avro records, cut out of bytes as strictly as a writer writes them, with words for what is wrong.
//
//   string, bytes   zigzag varint length, bytes       int, long   zigzag varint, shortest form
//   double          8 bytes little-endian             float       4 bytes little-endian
//   boolean         0 or 1                            enum        zigzag varint index
//   union           zigzag varint branch, value       fixed       its bytes
//   null            nothing
//
// A record written with another schema than it is read with is resolved in the same pass: what each field becomes is
// decided once, in Python (user_state/events/flat_types.py).
//
// Source: Apache Avro 1.12 specification, "Binary encoding", "Schema Resolution".
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
  /// Of kRefused: what is written, and what the reader's schema takes.
  std::string why;
};

/// A value where it lies: text and bytes are not copied.
struct AvroValue {
  /// kOther stands for a Python object that is none of these.
  enum class Is : std::uint8_t { kNull, kBoolean, kInteger, kReal, kText, kBytes, kOther };

  static AvroValue of_integer(std::int64_t integer, Is is = Is::kInteger) { return {is, integer, 0, {}}; }
  static AvroValue of_real(double real) { return {Is::kReal, 0, real, {}}; }
  static AvroValue of_text(std::string_view text, Is is = Is::kText) { return {is, 0, 0, text}; }

  Is is = Is::kNull;
  std::int64_t integer = 0;
  double real = 0;
  std::string_view text;
};

/// Thrown for bytes that are no value. `why` is for people, and has nothing of the bytes' content in it.
struct Unreadable {
  std::string why;
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
  /// The bytes of an Avro string or bytes.
  std::string_view avro_bytes();

 private:
  [[noreturn]] void throw_cut(std::uint64_t size) const;
  std::int64_t longer_avro_long();

  const char* begin_;
  const char* at_;
  const char* end_;
};

/// Takes one value; throws Unreadable for bytes that are none.
AvroValue take_flat_value(const FlatType& type, BodyCursor& in);

}  // namespace user_state
