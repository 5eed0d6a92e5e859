// The outer record: Avro single-object encoding of avro/user_state.avsc.
//
//     C3 01 | schema fingerprint, 8 bytes | version, 8 bytes | layout, 8 bytes | 4 zigzag varints | dictionary
//     | n | n times: name of a family, its section | 0 | CRC-32C of all bytes before it, u4
//
// Any Avro reader reads it, the families being a map of byte strings. A family that holds nothing has no entry. Numbers
// of bytes and of families are zigzag varints, as Avro has them. It is put together by hand, since there are thousands
// in a batch; a test holds it against fastavro.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "families/registry.hpp"

namespace user_state {

/// What every record begins with: the marker of Avro's single-object encoding, and the fingerprint of the schema.
inline constexpr std::string_view kMarker("\xC3\x01\x7B\x5B\x1F\xF5\xF0\x82\x3D\xDC", 10);
/// Of a version, and of what names a layout.
inline constexpr std::size_t kNameBytes = 8;

/// What is wrong with a record, or with what was to be made of it.
struct RecordError {
  enum class Kind : std::uint8_t { kCorrupt, kTooLarge, kUnknownLayout, kTooEarly };

  Kind kind;
  /// For people; of a layout that is not known, the eight bytes that name it.
  std::string text;
};

struct Envelope {
  enum Long { kClock, kLastEvent, kHorizon, kApplied };

  std::string_view version, layout;
  std::array<std::int64_t, 4> longs{};
  /// The dictionary, then those of the families; without data where the record has none.
  std::array<std::string_view, kSections> sections;
  /// A family that this release knows nothing of, if the record has one.
  std::string_view unknown;
  /// Dictionary and families as they stand in the record.
  std::string_view body;

  /// Gives families that the record does not have the sections of one that holds nothing.
  void fill(const std::vector<std::string>& blanks);
};

/// Takes a record apart, if its checksum is right. Throws RecordError.
Envelope open_record(std::string_view blob);

/// Puts a record together, without sections that are empty or without data.
void put_record(Buffer& out, const Envelope& envelope);

/// How many bytes `put_record` puts.
std::size_t size_of_record(const Envelope& envelope);

/// Puts a record together that has the body of another.
void put_record_again(Buffer& out, const Envelope& envelope);

/// Refuses a reading at a time that lies more than `skew_us` before the record's clock: what was applied up to the clock
/// counts, and what windows had before was given up. Throws RecordError.
void refuse_earlier(const Envelope& envelope, std::int64_t skew_us, std::int64_t at_us);

/// Refuses state of a family that this release knows nothing of. Throws RecordError.
void refuse_unknown(const Envelope& envelope);

/// Says what is wrong with a section of a record.
[[noreturn]] void refuse_section(const Corrupt& corrupt, std::string_view blob, std::size_t section,
                                 std::string_view bytes);

}  // namespace user_state
