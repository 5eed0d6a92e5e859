// The outer record: Avro single-object encoding of avro/user_state.avsc.
//
//     C3 01 | schema fingerprint, 8 bytes | version, 8 bytes | layout, 8 bytes | 4 zigzag varints | byte strings
//
// Any Avro reader reads it; the byte strings are the dictionary and a section a family (families/registry.hpp). It is
// put together by hand, since its shape never varies; a test holds it against fastavro.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "families/registry.hpp"

namespace user_state {

/// What every record begins with: the marker of Avro's single-object encoding, and the fingerprint of the schema.
inline constexpr std::string_view kMarker("\xC3\x01\xD4\xBD\x19\x42\x2A\x03\x21\x63", 10);
/// Of a version, and of what names a layout.
inline constexpr std::size_t kNameBytes = 8;

/// What is wrong with a record, or with what was to be made of it.
struct RecordError {
  enum class Kind : std::uint8_t { kCorrupt, kTooLarge, kUnknownLayout };

  Kind kind;
  /// For people; of a layout that is not known, the eight bytes that name it.
  std::string text;
};

struct Envelope {
  enum Long { kClock, kLastEvent, kHorizon, kApplied };

  std::string_view version, layout;
  std::array<std::int64_t, 4> longs{};
  std::array<std::string_view, kSections> sections;
};

/// Takes a record apart. Throws RecordError.
Envelope open_record(std::string_view blob);

/// Puts a record together.
void put_record(Writer& out, const Envelope& envelope);

/// Says what is wrong with a section of a record.
[[noreturn]] void refuse_section(const Corrupt& corrupt, std::string_view blob, std::size_t section,
                                 std::string_view bytes);

}  // namespace user_state
