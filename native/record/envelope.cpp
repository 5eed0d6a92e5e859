#include "record/envelope.hpp"

namespace user_state {

namespace {

constexpr int kLastShift = 56;

[[noreturn]] void refuse(const std::string& text) { throw RecordError{RecordError::Kind::kCorrupt, text}; }

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string made;
  for (char byte : bytes) {
    auto number = static_cast<std::uint8_t>(byte);
    made += {kDigits[number >> 4], kDigits[number & 15]};
  }
  return made;
}

/// Takes an Avro long that is not negative and less than 2^62.
std::int64_t take_long(Reader& in) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    auto byte = in.take<std::uint8_t>();
    need(shift <= kLastShift, "a number that is not from 0 to 2^62");
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte <= 0x7F) break;
  }
  need((value & 1) == 0, "a number that is not from 0 to 2^62");
  return static_cast<std::int64_t>(value >> 1);
}

}  // namespace

Envelope open_record(std::string_view blob) {
  if (blob.substr(0, kMarker.size()) != kMarker) {
    refuse("expected a record beginning with " + hex(kMarker) + ", got " + std::to_string(blob.size()) +
           " bytes beginning with " + hex(blob.substr(0, kMarker.size())));
  }
  Envelope envelope;
  Reader in(blob.substr(kMarker.size()));
  try {
    envelope.version = in.bytes(kNameBytes);
    envelope.layout = in.bytes(kNameBytes);
    for (std::int64_t& value : envelope.longs) value = take_long(in);
    for (std::string_view& section : envelope.sections) section = in.bytes(static_cast<std::size_t>(take_long(in)));
    in.end();
  } catch (const Corrupt& corrupt) {
    std::size_t at = blob.size() - in.left();
    refuse("invalid record of " + std::to_string(blob.size()) + " bytes: " + corrupt.what + " (byte " +
           std::to_string(at) + ")");
  }
  return envelope;
}

void put_record(Writer& out, const Envelope& envelope) {
  out.bytes(kMarker);
  out.bytes(envelope.version);
  out.bytes(envelope.layout);
  for (std::int64_t value : envelope.longs) out.avro_long(value);
  for (std::string_view section : envelope.sections) {
    out.avro_long(static_cast<std::int64_t>(section.size()));
    out.bytes(section);
  }
}

void refuse_section(const Corrupt& corrupt, std::string_view blob, std::size_t section, std::string_view bytes) {
  bool inside = corrupt.at != nullptr && corrupt.at >= blob.data() && corrupt.at <= blob.data() + blob.size();
  auto offset = [&](const char* at) { return std::to_string(at - blob.data()); };
  std::string where = inside                   ? "byte " + offset(corrupt.at)
                      : bytes.data() == nullptr ? "no bytes"
                                                : "bytes " + offset(bytes.data()) + " to " + offset(bytes.data() + bytes.size());
  refuse("invalid section " + std::string(name_of_section(section)) + " of a record: " + corrupt.what + " (" + where + ")");
}

}  // namespace user_state
