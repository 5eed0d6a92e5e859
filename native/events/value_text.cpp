#include "events/value_text.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>
#include <vector>

namespace user_state {

namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

/// The digits of a number whose bytes are big-endian and positive.
std::string digits_of(std::vector<std::uint8_t> bytes) {
  constexpr int kBase = 10;
  std::string digits;
  std::size_t first = 0;
  while (first < bytes.size()) {
    int rest = 0;
    for (std::size_t at = first; at < bytes.size(); ++at) {
      rest = rest * 256 + bytes[at];
      bytes[at] = static_cast<std::uint8_t>(rest / kBase);
      rest %= kBase;
    }
    digits += kDigits[static_cast<std::size_t>(rest)];
    while (first < bytes.size() && bytes[first] == 0) ++first;
  }
  std::ranges::reverse(digits);
  return digits.empty() ? "0" : digits;
}

/// Reads a text front to back.
class TimeText {
 public:
  explicit TimeText(std::string_view text) : text_(text) {}

  bool at_end() const { return text_.empty(); }
  bool skip(char expected) {
    if (text_.empty() || text_.front() != expected) return false;
    text_.remove_prefix(1);
    return true;
  }
  /// A number of just so many digits, -1 if there is none.
  std::int64_t digits(std::size_t count) {
    if (text_.size() < count) return -1;
    std::int64_t number = 0;
    for (char digit : text_.substr(0, count)) {
      if (digit < '0' || digit > '9') return -1;
      number = number * 10 + (digit - '0');
    }
    text_.remove_prefix(count);
    return number;
  }
  /// As many digits as there are, as millionths; -1 if there is none.
  std::int64_t fraction() {
    std::int64_t micros = 0, worth = 100'000;
    std::size_t count = 0;
    for (; count < text_.size() && text_[count] >= '0' && text_[count] <= '9'; ++count, worth /= 10) {
      micros += (text_[count] - '0') * worth;
    }
    text_.remove_prefix(count);
    return count == 0 ? -1 : micros;
  }

 private:
  std::string_view text_;
};

/// Days since 1970 of a day of the Gregorian calendar; nothing for one that does not exist.
std::optional<std::int64_t> day_of(std::int64_t year, std::int64_t month, std::int64_t day) {
  constexpr std::int64_t kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  constexpr std::int64_t kDaysTo1970 = 719'162;
  auto is_leap = [](std::int64_t y) { return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0); };
  if (year < 1 || month < 1 || month > 12 || day < 1) return std::nullopt;
  if (day > kDays[month - 1] + (month == 2 && is_leap(year) ? 1 : 0)) return std::nullopt;
  std::int64_t before = year - 1, days = before * 365 + before / 4 - before / 100 + before / 400;
  for (std::int64_t earlier = 1; earlier < month; ++earlier) days += kDays[earlier - 1];
  if (month > 2 && is_leap(year)) ++days;
  return days + day - 1 - kDaysTo1970;
}

/// Seconds that a time is ahead of UTC; nothing for what is no offset.
std::optional<std::int64_t> offset_of(TimeText& in) {
  if (in.at_end() || in.skip('Z') || in.skip('z')) return 0;
  bool behind = in.skip('-');
  if (!behind && !in.skip('+')) return std::nullopt;
  std::int64_t hours = in.digits(2), minutes = 0;
  if (!in.at_end()) {
    in.skip(':');
    minutes = in.digits(2);
  }
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59) return std::nullopt;
  std::int64_t offset_s = hours * 3600 + minutes * 60;
  return behind ? -offset_s : offset_s;
}

}  // namespace

void put_decimal_digits(std::int64_t number, std::string& text) {
  constexpr std::size_t kMost = 20;
  char digits[kMost];
  auto [end, error] = std::to_chars(digits, digits + kMost, number);
  text.append(digits, end);
}

void put_hex(std::string_view bytes, std::string& text) {
  for (char one : bytes) {
    auto byte = static_cast<std::uint8_t>(one);
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
}

void put_uuid(std::string_view bytes, std::string& text) {
  put_hex(bytes.substr(0, 4), text);
  for (std::size_t at = 4; at < 10; at += 2) {
    text += '-';
    put_hex(bytes.substr(at, 2), text);
  }
  text += '-';
  put_hex(bytes.substr(10), text);
}

double number_of_decimal(std::string_view unscaled, std::int64_t scale) {
  constexpr std::size_t kInt64 = 8, kMostBytes = 1024;
  constexpr std::int64_t kExact = std::int64_t{1} << 53, kMostPower = 22;
  bool negative = !unscaled.empty() && (static_cast<std::uint8_t>(unscaled.front()) & 0x80) != 0;
  while (unscaled.size() > 1 && unscaled[0] == (negative ? '\xff' : '\0') && ((unscaled[0] ^ unscaled[1]) & 0x80) == 0) {
    unscaled.remove_prefix(1);
  }
  // Thousands of digits: to work out what they are would take time by the square of their number.
  if (unscaled.size() > kMostBytes) return std::numeric_limits<double>::infinity();
  if (unscaled.size() <= kInt64) {
    std::uint64_t number = negative ? ~std::uint64_t{0} : 0;
    for (char byte : unscaled) number = number << 8 | static_cast<std::uint8_t>(byte);
    auto whole = static_cast<std::int64_t>(number);
    // Both are whole numbers that doubles have exactly, so that the quotient is the nearest double.
    if (whole >= -kExact && whole <= kExact && scale <= kMostPower) {
      double power = 1;
      for (std::int64_t digit = 0; digit < scale; ++digit) power *= 10;
      return static_cast<double>(whole) / power;
    }
  }
  std::vector<std::uint8_t> bytes(unscaled.begin(), unscaled.end());
  if (negative) {
    bool carry = true;
    for (std::size_t at = bytes.size(); at-- > 0;) {
      bytes[at] = static_cast<std::uint8_t>(~bytes[at]);
      if (carry) carry = ++bytes[at] == 0;
    }
  }
  // Without a point, which is a comma in some places of the world.
  std::string text = digits_of(std::move(bytes)) + "e-" + std::to_string(scale);
  double number = std::strtod(text.c_str(), nullptr);
  return negative ? -number : number;
}

std::optional<std::int64_t> microseconds_of(std::string_view text) {
  TimeText in(text);
  std::int64_t year = in.digits(4);
  if (!in.skip('-')) return std::nullopt;
  std::int64_t month = in.digits(2);
  if (!in.skip('-')) return std::nullopt;
  std::optional<std::int64_t> days = day_of(year, month, in.digits(2));
  if (!days) return std::nullopt;
  std::int64_t hour = 0, minute = 0, second = 0, micros = 0, offset_s = 0;
  if (!in.at_end()) {
    if (!in.skip('T') && !in.skip('t') && !in.skip(' ')) return std::nullopt;
    hour = in.digits(2);
    if (!in.skip(':')) return std::nullopt;
    minute = in.digits(2);
    if (in.skip(':')) {
      second = in.digits(2);
      if (in.skip('.') || in.skip(',')) micros = in.fraction();
    }
    std::optional<std::int64_t> offset = offset_of(in);
    if (!offset || !in.at_end()) return std::nullopt;
    offset_s = *offset;
  }
  bool is_time = hour >= 0 && hour <= 23 && minute >= 0 && minute <= 59 && second >= 0 && second <= 59 && micros >= 0;
  if (!is_time) return std::nullopt;
  return (((*days * 24 + hour) * 60 + minute) * 60 + second - offset_s) * 1'000'000 + micros;
}

}  // namespace user_state
