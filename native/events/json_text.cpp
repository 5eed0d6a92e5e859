#include "events/json_text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "codec/strings.hpp"

namespace user_state {

namespace {

constexpr std::uint64_t kOnes = 0x0101010101010101, kHighs = 0x8080808080808080;

/// Bytes that are zero, as their highest bits; bytes above such a one may be taken for zeros too.
std::uint64_t zeros_in(std::uint64_t eight) { return (eight - kOnes) & ~eight & kHighs; }

bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

/// Goes over a number as JSON writes them; returns where it ends, null where there is none.
const char* end_of_number(const char* at, const char* end, bool& is_plain) {
  auto digits = [&] {
    const char* begin = at;
    while (at != end && is_digit(*at)) ++at;
    return at != begin;
  };
  is_plain = true;
  if (at != end && *at == '-') ++at;
  if (at != end && *at == '0') {
    ++at;
  } else if (!digits()) {
    return nullptr;
  }
  if (at != end && *at == '.') {
    is_plain = false;
    ++at;
    if (!digits()) return nullptr;
  }
  if (at != end && (*at == 'e' || *at == 'E')) {
    is_plain = false;
    ++at;
    if (at != end && (*at == '+' || *at == '-')) ++at;
    if (!digits()) return nullptr;
  }
  return at;
}

/// A number as digits, the first and the last of which are not 0, and a power of ten; no digits for 0.
struct Digits {
  bool negative = false;
  std::string digits;
  std::int64_t power = 0;

  explicit Digits(std::string_view number) {
    constexpr std::int64_t kMostPower = 1'000'000'000;
    std::size_t at = 0;
    if (number[at] == '-') {
      negative = true;
      ++at;
    }
    std::int64_t behind = 0;
    bool is_behind = false;
    for (; at < number.size() && number[at] != 'e' && number[at] != 'E'; ++at) {
      if (number[at] == '.') {
        is_behind = true;
        continue;
      }
      behind += is_behind ? 1 : 0;
      if (number[at] != '0' || !digits.empty()) digits += number[at];
    }
    if (at < number.size()) {
      bool below = number[++at] == '-';
      if (below || number[at] == '+') ++at;
      for (; at < number.size(); ++at) power = std::min(kMostPower, power * 10 + (number[at] - '0'));
      if (below) power = -power;
    }
    power -= behind;
    while (!digits.empty() && digits.back() == '0') {
      digits.pop_back();
      ++power;
    }
  }
};

int hex_of(char byte) {
  if (byte >= '0' && byte <= '9') return byte - '0';
  if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
  if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
  return -1;
}

/// Takes the four digits behind `\u`.
std::uint32_t unit_of(std::string_view inside, std::size_t& at) {
  std::uint32_t unit = 0;
  for (int digit = 0; digit < 4; ++digit, ++at) {
    int value = at < inside.size() ? hex_of(inside[at]) : -1;
    if (value < 0) throw Unreadable{"an escape \\u has no four hexadecimal digits"};
    unit = unit << 4 | static_cast<std::uint32_t>(value);
  }
  return unit;
}

/// Takes what stands behind `\u`, with the second half of a pair.
std::uint32_t code_point_of(std::string_view inside, std::size_t& at) {
  constexpr std::uint32_t kHigh = 0xD800, kLow = 0xDC00, kBehind = 0xE000;
  constexpr const char* kHalf = "a text has half of a surrogate pair";
  std::uint32_t unit = unit_of(inside, at);
  if (unit < kHigh || unit >= kBehind) return unit;
  if (unit >= kLow || inside.substr(at, 2) != "\\u") throw Unreadable{kHalf};
  at += 2;
  std::uint32_t low = unit_of(inside, at);
  if (low < kLow || low >= kBehind) throw Unreadable{kHalf};
  return 0x10000 + ((unit - kHigh) << 10 | (low - kLow));
}

char* put_utf8(std::uint32_t code, char* to) {
  auto put = [&](std::uint32_t byte) { *to++ = static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
  return to;
}

}  // namespace

std::optional<std::int64_t> JsonNumber::integer() const {
  constexpr std::int64_t kMostOf64Bits = 19;
  std::int64_t number = 0;
  if (is_plain) {
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} ? std::optional(number) : std::nullopt;
  }
  Digits split(text);
  if (split.digits.empty()) return 0;
  if (split.power < 0 || split.power > kMostOf64Bits) return std::nullopt;
  std::string whole = (split.negative ? "-" : "") + split.digits + std::string(static_cast<std::size_t>(split.power), '0');
  auto [end, error] = std::from_chars(whole.data(), whole.data() + whole.size(), number);
  return error == std::errc{} ? std::optional(number) : std::nullopt;
}

double JsonNumber::real() const {
  constexpr std::uint64_t kExact = std::uint64_t{1} << 53;
  constexpr std::size_t kMostDigits = 15;
  constexpr int kMostPower = 22;
  constexpr double kPowers[kMostPower + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  // Digits and a power of ten that doubles have exactly: their quotient is the nearest double.
  if (text.size() <= kMostDigits + 2) {
    std::uint64_t digits = 0;
    int behind = -1;
    bool is_short = true;
    for (char byte : text) {
      if (is_digit(byte)) {
        digits = digits * 10 + static_cast<std::uint64_t>(byte - '0');
        behind += behind >= 0 ? 1 : 0;
      } else if (byte == '.') {
        behind = 0;
      } else if (byte != '-') {
        is_short = false;
        break;
      }
    }
    if (is_short && digits <= kExact) {
      double number = static_cast<double>(digits) / kPowers[std::max(behind, 0)];
      return text.front() == '-' ? -number : number;
    }
  }
#if defined(__cpp_lib_to_chars)
  double number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc{}) return number;
#endif
  // Without a point, which is a comma in some places of the world.
  Digits split(text);
  std::string plain = split.digits.empty() ? "0" : split.digits + "e" + std::to_string(split.power);
  double nearest = std::strtod(plain.c_str(), nullptr);
  return split.negative ? -nearest : nearest;
}

std::optional<std::string_view> JsonNumber::unscaled(std::int64_t scale, MadeTexts& made) const {
  Digits split(text);
  if (split.digits.empty()) split.digits = "0", split.power = 0;
  else split.power += scale;
  auto size = static_cast<std::int64_t>(split.digits.size());
  if (split.power < 0 || split.power > kMostDigits || size > kMostDigits - split.power) return std::nullopt;
  split.digits.append(static_cast<std::size_t>(split.power), '0');
  // Nine digits at a time, the least significant limb first.
  constexpr std::size_t kStep = 9;
  std::vector<std::uint32_t> limbs;
  for (std::size_t at = 0; at < split.digits.size();) {
    std::size_t end = std::min(at == 0 ? (split.digits.size() - 1) % kStep + 1 : at + kStep, split.digits.size());
    std::uint64_t carry = 0, worth = 1;
    for (; at < end; ++at, worth *= 10) carry = carry * 10 + static_cast<std::uint64_t>(split.digits[at] - '0');
    for (std::uint32_t& limb : limbs) {
      carry += limb * worth;
      limb = static_cast<std::uint32_t>(carry);
      carry >>= 32;
    }
    if (carry != 0) limbs.push_back(static_cast<std::uint32_t>(carry));
  }
  std::vector<std::uint8_t> bytes;
  for (std::uint32_t limb : limbs) {
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<std::uint8_t>(limb >> shift));
  }
  bytes.push_back(0);
  if (split.negative) {
    int carry = 1;
    for (std::uint8_t& byte : bytes) {
      carry += static_cast<std::uint8_t>(~byte);
      byte = static_cast<std::uint8_t>(carry);
      carry >>= 8;
    }
  }
  std::uint8_t sign = bytes.back();
  while (bytes.size() > 1 && bytes.back() == sign && ((bytes[bytes.size() - 2] ^ sign) & 0x80) == 0) bytes.pop_back();
  char* to = made.room(bytes.size());
  std::reverse_copy(bytes.begin(), bytes.end(), to);
  return std::string_view(to, bytes.size());
}

std::optional<JsonNumber> json_number_of(std::string_view text) {
  bool is_plain = true;
  const char* end = text.data() + text.size();
  if (end_of_number(text.data(), end, is_plain) != end || text.empty()) return std::nullopt;
  return JsonNumber{text, is_plain};
}

JsonCursor::JsonCursor(std::string_view text, int most_levels)
    : begin_(text.data()), at_(begin_), end_(begin_ + text.size()), most_levels_(most_levels) {
  if (text.starts_with("\xEF\xBB\xBF")) at_ += 3;
}

JsonNumber JsonCursor::number() {
  bool is_plain = true;
  const char* begin = at_;
  const char* end = end_of_number(at_, end_, is_plain);
  if (end == nullptr) throw Unreadable{"expected a number as JSON writes them"};
  if (end != end_ && (is_digit(*end) || *end == '.')) throw Unreadable{"expected a number without a zero in front"};
  at_ = end;
  return {{begin, static_cast<std::size_t>(end - begin)}, is_plain};
}

void JsonCursor::word(std::string_view word) {
  if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(word)) throw_no_value();
  at_ += word.size();
}

JsonCursor::Ends JsonCursor::end_of_text() {
  const char* begin = ++at_;
  std::uint64_t high = 0;
  bool escaped = false;
  while (true) {
    while (end_ - at_ >= 8) {
      auto eight = load<std::uint64_t>(at_);
      // A quote, a backslash, or a byte below a space. What is taken for one of these and is none is looked at below.
      std::uint64_t below = (eight - 0x20 * kOnes) & ~eight & kHighs;
      if ((zeros_in(eight ^ 0x22 * kOnes) | zeros_in(eight ^ 0x5C * kOnes) | below) != 0) break;
      high |= eight;
      at_ += 8;
    }
    for (int byte = 0; at_ != end_ && byte < 8; ++byte, ++at_) {
      auto one = static_cast<unsigned char>(*at_);
      if (one == '"') {
        if ((high & kHighs) != 0 && !is_utf8({begin, static_cast<std::size_t>(at_ - begin)})) {
          throw Unreadable{"a text is not UTF-8"};
        }
        ++at_;
        return {escaped};
      }
      if (one < 0x20) throw Unreadable{"a text has a control character that is not escaped"};
      high |= one;
      if (one == '\\') {
        escaped = true;
        if (++at_ == end_) break;
        if (static_cast<unsigned char>(*at_) < 0x20) throw Unreadable{"a text has a control character that is not escaped"};
        high |= static_cast<unsigned char>(*at_);
      }
    }
    if (at_ == end_) throw Unreadable{"the body ends within a text"};
  }
}

std::string_view JsonCursor::unescaped(std::string_view inside, MadeTexts* made) {
  // What an escape stands for has fewer bytes than the escape.
  char* begin = made == nullptr ? nullptr : made->room(inside.size());
  char* to = begin;
  for (std::size_t at = 0; at < inside.size();) {
    std::size_t escape = std::min(inside.find('\\', at), inside.size());
    if (to != nullptr) {
      std::memcpy(to, inside.data() + at, escape - at);
      to += escape - at;
    }
    at = escape;
    if (at == inside.size()) break;
    ++at;
    char kind = inside[at++];
    constexpr std::string_view kKinds = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    if (kind == 'u') {
      std::uint32_t code = code_point_of(inside, at);
      if (to != nullptr) to = put_utf8(code, to);
      continue;
    }
    std::size_t known = kKinds.find(kind);
    if (known == std::string_view::npos) throw Unreadable{"a text has an escape that JSON does not have"};
    if (to != nullptr) *to++ = kMeant[known];
  }
  if (made == nullptr) return {};
  auto size = static_cast<std::size_t>(to - begin);
  made->give_back(begin + size, inside.size() - size);
  return {begin, size};
}

void JsonCursor::skip_value() {
  switch (next()) {
    case '"': {
      const char* begin = at_ + 1;
      if (end_of_text().escaped) unescaped({begin, static_cast<std::size_t>(at_ - 1 - begin)}, nullptr);
      break;
    }
    case '{':
      enter();
      if (!skip('}')) {
        do {
          if (next() != '"') throw_no_name();
          skip_value();
          colon();
          skip_value();
        } while (another('}'));
      }
      leave();
      break;
    case '[':
      enter();
      if (!skip(']')) {
        do skip_value();
        while (another(']'));
      }
      leave();
      break;
    case 't': word("true"); break;
    case 'f': word("false"); break;
    case 'n': word("null"); break;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': number(); break;
    default: throw_no_value();
  }
}

void JsonCursor::end() {
  if (next() != '\0' || at_ != end_) {
    throw Unreadable{std::to_string(end_ - at_) + " bytes are left over behind the event", {}, at()};
  }
}

void JsonCursor::throw_no_value() const {
  if (at_ == end_) throw Unreadable{"the body ends where a value should be"};
  std::string_view left(at_, static_cast<std::size_t>(end_ - at_));
  for (std::string_view word : {"NaN", "Infinity", "nan"}) {
    if (left.starts_with(word)) throw Unreadable{"expected a value, got " + std::string(word) + ", which JSON does not have"};
  }
  throw Unreadable{"expected a value: an object, an array, a text in double quotes, a number, true, false or null"};
}

void JsonCursor::throw_no_name() const {
  if (at_ == end_) throw Unreadable{"the body ends within an object"};
  throw Unreadable{"expected the name of a member in double quotes"};
}

void JsonCursor::throw_no_end(char end) const {
  std::string what = end == '}' ? "object" : "array";
  if (at_ == end_) throw Unreadable{"the body ends within an " + what};
  throw Unreadable{"expected a comma or the end of the " + what};
}

void JsonCursor::throw_too_deep() const {
  throw Unreadable{"values lie more than " + std::to_string(most_levels_) + " levels deep in objects and arrays"};
}

}  // namespace user_state
