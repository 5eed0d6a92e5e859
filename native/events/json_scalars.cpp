#include "events/json_scalars.hpp"

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "events/value_text.hpp"

namespace user_state {

namespace {

using JsonIs = AvroValue::Is;
using JsonKind = AvroNode::Kind;

constexpr std::int64_t kNanosOfMicro = 1000, kNanosOfDay = 86'400'000'000'000;

/// The bytes that a text's characters stand for; nothing if one is above U+00FF.
std::optional<std::string_view> latin_1(std::string_view text, MadeTexts& made) {
  char* begin = nullptr;
  std::size_t to = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    auto byte = static_cast<unsigned char>(text[at]);
    if (byte >= 0x80) {
      if (begin == nullptr) {
        begin = made.room(text.size());
        std::memcpy(begin, text.data(), at);
      }
      if (byte > 0xC3) return std::nullopt;
      byte = static_cast<unsigned char>(byte << 6 | (static_cast<unsigned char>(text[++at]) & 0x3F));
    }
    if (begin != nullptr) begin[to] = static_cast<char>(byte);
    ++to;
  }
  if (begin == nullptr) return text;
  made.give_back(begin + to, text.size() - to);
  return std::string_view(begin, to);
}

/// A time as text in the unit of its field; nothing for a text that is none, or one that 64 bits do not hold.
std::optional<std::int64_t> time_in_unit(const AvroNode& node, std::string_view text) {
  constexpr std::size_t kDate = 10, kSeconds = 19;
  if (node.unit_ns == kNanosOfDay && text.size() != kDate) return std::nullopt;
  // A local time is what clocks show there: an offset would say that it is another time here.
  if (node.is_local && text.size() > kDate && text.find_first_of("Zz+-", kDate) != std::string_view::npos) {
    return std::nullopt;
  }
  std::optional<std::int64_t> time_us = microseconds_of(text);
  if (!time_us || node.unit_ns >= kNanosOfMicro) {
    return time_us ? std::optional(floor_div(*time_us, node.unit_ns / kNanosOfMicro)) : std::nullopt;
  }
  std::int64_t time = 0, per_micro = kNanosOfMicro / node.unit_ns;
  if (__builtin_mul_overflow(*time_us, per_micro, &time)) return std::nullopt;
  std::size_t behind = kSeconds + 7;  // the point and six digits
  for (std::int64_t worth = per_micro / 10; worth > 0; worth /= 10, ++behind) {
    if (text.size() <= behind || text[behind] < '0' || text[behind] > '9') break;
    if (text[kSeconds] != '.' && text[kSeconds] != ',') break;
    if (__builtin_add_overflow(time, (text[behind] - '0') * worth, &time)) return std::nullopt;
  }
  return time;
}

/// The 16 bytes of a UUID as 36 characters; nothing for a text that is none.
std::optional<std::string_view> bytes_of_uuid(std::string_view text, MadeTexts& made) {
  constexpr std::size_t kText = 36, kBytes = 16;
  if (text.size() != kText) return std::nullopt;
  char* to = made.room(kBytes);
  std::size_t at = 0;
  for (std::size_t byte = 0; byte < kBytes; ++byte) {
    bool is_behind_hyphen = byte == 4 || byte == 6 || byte == 8 || byte == 10;
    if (is_behind_hyphen && text[at++] != '-') return std::nullopt;
    unsigned value = 0;
    for (int digit = 0; digit < 2; ++digit, ++at) {
      char one = text[at];
      bool is_upper = one >= 'A' && one <= 'F';
      if (!(one >= '0' && one <= '9') && !(one >= 'a' && one <= 'f') && !is_upper) return std::nullopt;
      value = value << 4 | static_cast<unsigned>(one <= '9' ? one - '0' : (one | 0x20) - 'a' + 10);
    }
    to[byte] = static_cast<char>(value);
  }
  return std::string_view(to, kBytes);
}

bool take_decimal(const AvroNode& node, std::optional<std::string_view> bytes, MadeTexts& made, AvroValue& value) {
  if (!bytes) return false;
  if (node.kind == JsonKind::kFixedDecimal) {
    if (bytes->size() > node.size) return false;
    char* to = made.room(node.size);
    bool is_negative = !bytes->empty() && (static_cast<unsigned char>(bytes->front()) & 0x80) != 0;
    std::size_t more = node.size - bytes->size();
    std::memset(to, is_negative ? 0xFF : 0, more);
    std::memcpy(to + more, bytes->data(), bytes->size());
    bytes = std::string_view(to, node.size);
  }
  value = {JsonIs::kDecimal, node.scale, 0, *bytes};
  return true;
}

bool is_decimal(const AvroNode& node) {
  return node.kind == JsonKind::kDecimal || node.kind == JsonKind::kFixedDecimal;
}

}  // namespace

std::string json_words_of(const AvroProgram& program, const AvroNode& node) {
  switch (node.kind) {
    case JsonKind::kNull: return "null";
    case JsonKind::kBoolean: return "true or false";
    case JsonKind::kInt:
    case JsonKind::kLong: {
      std::string words = node.kind == JsonKind::kInt ? "a whole number of 32 bits" : "a whole number of 64 bits";
      if (node.unit_ns == 0) return words;
      if (node.unit_ns == kNanosOfDay) return words + " or a date such as 2026-01-31";
      return words + (node.is_local ? " or a time in ISO 8601 without an offset" : " or a time in ISO 8601");
    }
    case JsonKind::kFloat: return "a number that a float holds";
    case JsonKind::kDouble: return "a number that a double holds";
    case JsonKind::kString: return "a text";
    case JsonKind::kEnum: return "a symbol of the enum";
    case JsonKind::kBytes: return "bytes as a text of characters from U+0000 to U+00FF";
    case JsonKind::kFixed: return std::to_string(node.size) + " bytes as a text of characters from U+0000 to U+00FF";
    case JsonKind::kUuid: return "a UUID";
    case JsonKind::kDecimal:
    case JsonKind::kFixedDecimal: return "a decimal with at most " + std::to_string(node.scale) + " digits behind the point";
    case JsonKind::kArray: return "an array";
    case JsonKind::kRecord:
    case JsonKind::kMap: return "an object";
    case JsonKind::kUnion: {
      std::string words;
      for (std::uint32_t child : node.children) {
        std::string more = json_words_of(program, program.nodes[child]);
        if (words.find(more) == std::string::npos) words += (words.empty() ? "" : " or ") + more;
      }
      return words;
    }
    default: return "nothing";
  }
}

bool take_json_text(const AvroNode& node, std::string_view text, bool in_avros_form, MadeTexts& made, AvroValue& value) {
  switch (node.kind) {
    case JsonKind::kString: value = AvroValue::of_text(text); return true;
    case JsonKind::kEnum: {
      std::uint32_t symbol = node.index.number_of(text);
      if (symbol == TextIndex::kFree && node.bytes.empty()) return false;
      value = AvroValue::of_text(symbol == TextIndex::kFree ? std::string_view(node.bytes) : node.index[symbol]);
      return true;
    }
    case JsonKind::kBytes: {
      std::optional<std::string_view> bytes = latin_1(text, made);
      if (bytes) value = AvroValue::of_text(*bytes, JsonIs::kBytes);
      return bytes.has_value();
    }
    case JsonKind::kFixed:
    case JsonKind::kUuid: {
      std::optional<std::string_view> bytes;
      if (node.kind == JsonKind::kUuid) bytes = bytes_of_uuid(text, made);
      if (!bytes) bytes = latin_1(text, made);
      if (!bytes || bytes->size() != node.size) return false;
      value = AvroValue::of_text(*bytes, node.kind == JsonKind::kUuid ? JsonIs::kUuid : JsonIs::kBytes);
      return true;
    }
    case JsonKind::kInt:
    case JsonKind::kLong: {
      std::optional<std::int64_t> time;
      if (node.unit_ns != 0) time = time_in_unit(node, text);
      if (time) value = AvroValue::of_integer(*time);
      return time.has_value();
    }
    case JsonKind::kDecimal:
    case JsonKind::kFixedDecimal: {
      if (in_avros_form) {
        std::optional<std::string_view> bytes = latin_1(text, made);
        if (node.kind == JsonKind::kFixedDecimal && bytes && bytes->size() != node.size) return false;
        return take_decimal(node, bytes, made, value);
      }
      std::optional<JsonNumber> number = json_number_of(text);
      return number && take_json_number(node, *number, made, value);
    }
    default: return false;
  }
}

bool take_json_number(const AvroNode& node, const JsonNumber& number, MadeTexts& made, AvroValue& value) {
  switch (node.kind) {
    case JsonKind::kInt:
    case JsonKind::kLong: {
      std::optional<std::int64_t> integer = number.integer();
      if (!integer || (node.kind == JsonKind::kInt && *integer != static_cast<std::int32_t>(*integer))) return false;
      value = AvroValue::of_integer(*integer);
      return true;
    }
    case JsonKind::kFloat:
    case JsonKind::kDouble: {
      double real = number.real();
      if (node.kind == JsonKind::kFloat) real = static_cast<double>(static_cast<float>(real));
      value = AvroValue::of_real(real);
      return std::isfinite(real);
    }
    case JsonKind::kDecimal:
    case JsonKind::kFixedDecimal: return take_decimal(node, number.unscaled(node.scale, made), made, value);
    default: return false;
  }
}

int json_rank_of_number(const AvroNode& node, const JsonNumber& number) {
  switch (node.kind) {
    case JsonKind::kInt:
    case JsonKind::kLong: return number.is_plain ? 0 : 2;
    case JsonKind::kDouble: return number.is_plain ? 1 : 0;
    case JsonKind::kFloat:
    case JsonKind::kDecimal:
    case JsonKind::kFixedDecimal: return number.is_plain ? 2 : 1;
    default: return -1;
  }
}

int json_rank_of_text(const AvroNode& node) {
  switch (node.kind) {
    case JsonKind::kString: return 0;
    case JsonKind::kEnum:
    case JsonKind::kBytes:
    case JsonKind::kFixed:
    case JsonKind::kUuid: return 1;
    case JsonKind::kInt:
    case JsonKind::kLong: return node.unit_ns != 0 ? 1 : -1;
    default: return is_decimal(node) ? 1 : -1;
  }
}

}  // namespace user_state
