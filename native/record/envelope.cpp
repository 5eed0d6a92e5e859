#include "record/envelope.hpp"

#include <algorithm>

#include "codec/crc32c.hpp"
#include "codec/time_text.hpp"

namespace user_state {

namespace {

constexpr int kLastShift = 56;
constexpr std::size_t kChecksumBytes = 4, kLongestName = 64;

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

std::string_view take_bytes(Reader& in) { return in.bytes(static_cast<std::size_t>(take_long(in))); }

bool is_name(std::string_view name) {
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, plain);
}

/// A family's name as it stands in a record: its length, an Avro long of one byte, before it.
struct PackedName {
  std::array<char, kLongestName> bytes{};
  std::size_t size = 0;

  std::string_view view() const { return {bytes.data(), size}; }
};

constexpr std::array<PackedName, kFamilies.size()> kPackedNames = [] {
  std::array<PackedName, kFamilies.size()> packed{};
  for (std::size_t at = 0; at < packed.size(); ++at) {
    std::string_view name = kFamilies[at].name;
    packed[at].bytes[0] = static_cast<char>(name.size() << 1);
    for (std::size_t place = 0; place < name.size(); ++place) packed[at].bytes[place + 1] = name[place];
    packed[at].size = name.size() + 1;
  }
  return packed;
}();

/// Takes the name of a family and returns its section; 0 if this release knows no such family, whose `name` that is.
/// Most often it is the next one `after` another.
std::size_t take_name(Reader& in, std::size_t after, std::string_view& name) {
  for (std::size_t at = after + 1; at < kSections; ++at) {
    if (in.skip(kPackedNames[at - 1].view())) return at;
  }
  name = take_bytes(in);
  auto found = std::ranges::find(kFamilies, name, &FamilyEntry::name);
  return found == kFamilies.end() ? 0 : static_cast<std::size_t>(found - kFamilies.begin()) + 1;
}

void take_sections(Reader& in, Envelope& envelope) {
  envelope.sections[0] = take_bytes(in);
  std::int64_t families = take_long(in);
  std::size_t before = 0;
  for (std::int64_t at = 0; at < families; ++at) {
    std::string_view name;
    std::size_t found = take_name(in, before, name);
    std::string_view section = take_bytes(in);
    if (found == 0) {
      need(is_name(name), "a family whose name is none");
      if (envelope.unknown.empty()) envelope.unknown = name;
      continue;
    }
    need(envelope.sections[found].data() == nullptr, "a family that it has twice");
    envelope.sections[found] = section;
    before = found;
  }
  if (families > 0) need(take_long(in) == 0, "a map of families in more than one block");
}

void put_head(Writer& out, const Envelope& envelope) {
  out.bytes(kMarker);
  out.bytes(envelope.version);
  out.bytes(envelope.layout);
  for (std::int64_t value : envelope.longs) out.avro_long(value);
}

void put_bytes(Writer& out, std::string_view bytes) {
  out.avro_long(static_cast<std::int64_t>(bytes.size()));
  out.bytes(bytes);
}

}  // namespace

void Envelope::fill(const std::vector<std::string>& blanks) {
  for (std::size_t at = 1; at < kSections; ++at) {
    if (sections[at].data() == nullptr) sections[at] = blanks[at];
  }
}

Envelope open_record(std::string_view blob) {
  if (blob.substr(0, kMarker.size()) != kMarker || blob.size() < kMarker.size() + kChecksumBytes) {
    refuse("expected a record beginning with " + hex(kMarker) + ", got " + std::to_string(blob.size()) +
           " bytes beginning with " + hex(blob.substr(0, kMarker.size())));
  }
  std::string_view covered = blob.substr(0, blob.size() - kChecksumBytes);
  if (crc32c(covered) != load<std::uint32_t>(covered.data() + covered.size())) {
    refuse("the record's checksum does not match: its " + std::to_string(blob.size()) + " bytes are damaged");
  }
  Envelope envelope;
  Reader in(covered.substr(kMarker.size()));
  try {
    envelope.version = in.bytes(kNameBytes);
    envelope.layout = in.bytes(kNameBytes);
    for (std::int64_t& value : envelope.longs) value = take_long(in);
    for (auto time : {Envelope::kClock, Envelope::kLastEvent}) {
      need(envelope.longs[time] < kFarthestUs, "a time that is not before 2^61 us");
    }
    envelope.body = covered.substr(covered.size() - in.left());
    take_sections(in, envelope);
    in.end();
  } catch (const Corrupt& corrupt) {
    std::size_t at = covered.size() - in.left();
    refuse("invalid record of " + std::to_string(blob.size()) + " bytes: " + corrupt.what + " (byte " +
           std::to_string(at) + ")");
  }
  return envelope;
}

void put_record(Buffer& to, const Envelope& envelope) {
  std::size_t begin = to.size();
  Writer out(to);
  put_head(out, envelope);
  put_bytes(out, envelope.sections[0]);
  auto families = std::count_if(envelope.sections.begin() + 1, envelope.sections.end(),
                                [](std::string_view section) { return !section.empty(); });
  out.avro_long(families);
  for (std::size_t at = 1; at < kSections; ++at) {
    if (envelope.sections[at].empty()) continue;
    put_bytes(out, name_of_section(at));
    put_bytes(out, envelope.sections[at]);
  }
  if (families > 0) out.avro_long(0);
  out.put(crc32c(to.view().substr(begin)));
}

std::size_t size_of_record(const Envelope& envelope) {
  auto long_size = [](std::int64_t value) {
    std::size_t size = 1;
    for (std::uint64_t left = static_cast<std::uint64_t>(value) << 1; left > 0x7F; left >>= 7) ++size;
    return size;
  };
  auto bytes_size = [&](std::string_view bytes) { return long_size(static_cast<std::int64_t>(bytes.size())) + bytes.size(); };
  std::size_t size = kMarker.size() + 2 * kNameBytes + bytes_size(envelope.sections[0]), families = 0;
  for (std::int64_t value : envelope.longs) size += long_size(value);
  for (std::size_t at = 1; at < kSections; ++at) {
    if (envelope.sections[at].empty()) continue;
    size += bytes_size(name_of_section(at)) + bytes_size(envelope.sections[at]);
    ++families;
  }
  return size + long_size(static_cast<std::int64_t>(families)) + (families > 0) + kChecksumBytes;
}

void put_record_again(Buffer& to, const Envelope& envelope) {
  std::size_t begin = to.size();
  Writer out(to);
  put_head(out, envelope);
  out.bytes(envelope.body);
  out.put(crc32c(to.view().substr(begin)));
}

void refuse_earlier(const Envelope& envelope, std::int64_t skew_us, std::int64_t at_us) {
  std::int64_t first_us = envelope.longs[Envelope::kClock] - skew_us;
  if (at_us >= first_us) return;
  throw RecordError{RecordError::Kind::kTooEarly,
                    "expected a reading time from " + time_text(first_us) +
                        " on (the user's clock less max_clock_skew), got " + time_text(at_us) +
                        ": the record has later events, and not all that older windows need; for the past, replay"
                        " history (docs/client.md)"};
}

void refuse_unknown(const Envelope& envelope) {
  if (envelope.unknown.empty()) return;
  refuse("expected a record of families that this release knows, got one with " + std::string(envelope.unknown));
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
