#include "codec/avro_value.hpp"

namespace user_state {

AvroValue take_avro_value(const FlatType& type, Reader& in) {
  using Is = AvroValue::Is;
  using Kind = FlatType::Kind;
  switch (type.kind) {
    case Kind::kNull: return {};
    case Kind::kBoolean: {
      auto byte = in.take<std::uint8_t>();
      need(byte <= 1);
      return AvroValue::of_integer(byte, Is::kBoolean);
    }
    case Kind::kLong: return AvroValue::of_integer(take_avro_long(in));
    case Kind::kFloat: return AvroValue::of_real(in.take<float>());
    case Kind::kDouble: return AvroValue::of_real(in.take<double>());
    case Kind::kFloatOfLong: return AvroValue::of_real(static_cast<double>(take_avro_long(in)));
    case Kind::kString:
    case Kind::kBytesOfString: return AvroValue::of_text(take_avro_bytes(in));  // bytes that have to be UTF-8
    case Kind::kBytes: return AvroValue::of_text(take_avro_bytes(in), Is::kBytes);
    case Kind::kFixed: return AvroValue::of_text(in.bytes(type.size), Is::kBytes);
    case Kind::kEnum: {
      auto index = static_cast<std::uint64_t>(take_avro_long(in));
      need(index < type.symbols.size() && type.symbols[index].known);
      return AvroValue::of_text(type.symbols[index].text);
    }
    case Kind::kUnion: {
      auto byte = in.take<std::uint8_t>();
      need((byte & 1) == 0 && byte / 2u < type.branches.size());
      return take_avro_value(type.branches[byte / 2], in);
    }
    case Kind::kRefused: break;
  }
  throw Declined{};
}

}  // namespace user_state
