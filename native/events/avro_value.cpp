#include "events/avro_value.hpp"

#include "codec/strings.hpp"

namespace user_state {

namespace {

/// Whether all bytes are below 0x80, eight at a time.
bool is_ascii(std::string_view text) {
  std::size_t at = 0;
  std::uint64_t high = 0;
  for (; at + 8 <= text.size(); at += 8) high |= load<std::uint64_t>(text.data() + at);
  for (; at < text.size(); ++at) high |= static_cast<std::uint8_t>(text[at]);
  return (high & 0x8080808080808080) == 0;
}

}  // namespace

void BodyCursor::throw_cut(std::uint64_t size) const {
  throw Unreadable{"the bytes end too early: " + std::to_string(size) + " are needed, " + std::to_string(left()) +
                   " are left"};
}

void BodyCursor::throw_beyond_int() { throw Unreadable{"the number has more than the 32 bits of an int"}; }

void BodyCursor::throw_no_boolean() { throw Unreadable{"the byte of a boolean is neither 0 nor 1"}; }

std::int64_t BodyCursor::longer_avro_long() {
  constexpr int kLast = 63;
  std::uint64_t number = 0;
  for (int shift = 0; shift <= kLast; shift += 7) {
    std::uint8_t next = byte();
    number |= static_cast<std::uint64_t>(next & 0x7F) << shift;
    if (next > 0x7F) continue;
    if ((next == 0 && shift > 0) || (shift == kLast && next > 1)) break;
    return unfolded(number);
  }
  throw Unreadable{"the number is not in the form that Avro writes: at most 10 bytes, and none too many"};
}

std::string_view BodyCursor::avro_bytes() {
  std::int64_t size = avro_long();
  if (size < 0) [[unlikely]] throw Unreadable{"the length is negative"};
  return bytes(static_cast<std::uint64_t>(size));
}

std::string_view BodyCursor::avro_text() {
  std::string_view text = avro_bytes();
  if (!is_ascii(text) && !is_utf8(text)) throw Unreadable{"the text is not UTF-8"};
  return text;
}

}  // namespace user_state
