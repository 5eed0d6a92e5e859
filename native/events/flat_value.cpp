#include "events/flat_value.hpp"

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

std::string_view text_of(BodyCursor& in) {
  std::string_view text = in.avro_bytes();
  if (!is_ascii(text) && !is_utf8(text)) throw Unreadable{"the text is not UTF-8"};
  return text;
}

AvroValue boolean_of(BodyCursor& in) {
  std::uint8_t byte = in.byte();
  if (byte > 1) throw Unreadable{"the byte of a boolean is neither 0 nor 1"};
  return AvroValue::of_integer(byte, AvroValue::Is::kBoolean);
}

AvroValue symbol_of(const FlatType& type, BodyCursor& in) {
  auto index = static_cast<std::uint64_t>(in.avro_long());
  if (index >= type.symbols.size()) {
    throw Unreadable{"the enum has " + std::to_string(type.symbols.size()) + " symbols, and the index is none of them"};
  }
  if (!type.symbols[index].known) throw Unreadable{"the symbol is in the writer's enum, but not in the reader's"};
  return AvroValue::of_text(type.symbols[index].text);
}

}  // namespace

void BodyCursor::throw_cut(std::uint64_t size) const {
  throw Unreadable{"the bytes end too early: " + std::to_string(size) + " are needed, " + std::to_string(left()) +
                   " are left"};
}

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

AvroValue take_flat_value(const FlatType& type, BodyCursor& in) {
  using Is = AvroValue::Is;
  using Kind = FlatType::Kind;
  switch (type.kind) {
    case Kind::kNull: return {};
    case Kind::kBoolean: return boolean_of(in);
    case Kind::kLong: return AvroValue::of_integer(in.avro_long());
    case Kind::kFloat: return AvroValue::of_real(in.take<float>());
    case Kind::kDouble: return AvroValue::of_real(in.take<double>());
    case Kind::kFloatOfLong: return AvroValue::of_real(static_cast<double>(in.avro_long()));
    case Kind::kString: return AvroValue::of_text(text_of(in));
    case Kind::kBytesOfString: return AvroValue::of_text(text_of(in), Is::kBytes);
    case Kind::kBytes: return AvroValue::of_text(in.avro_bytes(), Is::kBytes);
    case Kind::kFixed: return AvroValue::of_text(in.bytes(type.size), Is::kBytes);
    case Kind::kEnum: return symbol_of(type, in);
    case Kind::kUnion: {
      // A branch is one byte, twice its index: schemas with more branches are not flat.
      std::uint8_t byte = in.byte();
      if ((byte & 1) != 0 || byte / 2u >= type.branches.size()) {
        throw Unreadable{"the union has " + std::to_string(type.branches.size()) + " branches, and the index is none of them"};
      }
      return take_flat_value(type.branches[byte / 2], in);
    }
    case Kind::kRefused: break;
  }
  throw Unreadable{type.why};
}

}  // namespace user_state
