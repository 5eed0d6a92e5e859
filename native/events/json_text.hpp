// JSON's tokens, cut out of a body front to back, with words for what is wrong. What they mean is `json_reading.hpp`'s.
//
// Strictly RFC 8259: UTF-8, no comma too many, no comment, no NaN, no number with a leading zero or plus. A mark of the
// byte order in front is passed over, as the RFC lets a reader do. Beyond the RFC a text may hold no half of a surrogate
// pair, since no UTF-8 has one, and values lie at most kMostLevels deep. Nothing is made of what nobody asks for, but
// all of it is checked.
//
// Source: RFC 8259, "The JavaScript Object Notation (JSON) Data Interchange Format".
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "events/avro_value.hpp"

namespace user_state {

/// Texts that stand in no body as they are; they keep their places until `clear`.
class MadeTexts {
 public:
  /// Forgets all texts; `bytes` is how many the next ones will probably have.
  void clear(std::size_t bytes) {
    used_ = 0;
    larger_.clear();
    if (bytes > size_) {
      size_ = 2 * bytes;
      room_ = std::make_unique<char[]>(size_);
    }
  }
  /// Room for so many bytes; `give_back` those that are not used before the next room is taken.
  char* room(std::size_t bytes) {
    if (bytes > size_ - used_) return larger_.emplace_back(bytes, '\0').data();
    used_ += bytes;
    return room_.get() + used_ - bytes;
  }
  void give_back(const char* at, std::size_t bytes) {
    if (at == room_.get() + used_ - bytes) used_ -= bytes;
  }
  /// Whether a text is one of these.
  bool has(std::string_view text) const {
    if (text.data() >= room_.get() && text.data() < room_.get() + used_) return true;
    for (const std::string& one : larger_) {
      if (text.data() >= one.data() && text.data() < one.data() + one.size()) return true;
    }
    return false;
  }

 private:
  std::unique_ptr<char[]> room_;
  std::size_t size_ = 0, used_ = 0;
  std::deque<std::string> larger_;
};

/// A number as it is written.
struct JsonNumber {
  std::string_view text;
  /// Whether it has neither a fraction nor an exponent.
  bool is_plain;

  /// Its value where that is a whole number of 64 bits, however it is written: 5, 5.0 and 5e0 are one number.
  std::optional<std::int64_t> integer() const;
  /// The nearest double; infinite where doubles end.
  double real() const;
  /// `number * 10^scale` as big-endian bytes in two's complement, the fewest, in `made`: as Avro has decimals. Nothing
  /// where that is no whole number, or one of more than kMostDigits digits.
  std::optional<std::string_view> unscaled(std::int64_t scale, MadeTexts& made) const;

  static constexpr std::int64_t kMostDigits = 200;
};

/// The number that all of a text is; nothing for one that is none as JSON writes them.
std::optional<JsonNumber> json_number_of(std::string_view text);

class JsonCursor {
 public:
  JsonCursor(std::string_view text, int most_levels);

  std::size_t at() const { return static_cast<std::size_t>(at_ - begin_); }
  void go_to(std::size_t place) { at_ = begin_ + place; }

  /// The first byte of the next value, or of whatever is there; 0 at the end.
  char next() {
    while (at_ != end_ && static_cast<unsigned char>(*at_) <= ' ' && is_space(*at_)) ++at_;
    return at_ == end_ ? '\0' : *at_;
  }

  /// Takes what is next if it is just this.
  bool skip(char expected) {
    if (next() != expected || at_ == end_) return false;
    ++at_;
    return true;
  }
  /// Goes into an object or an array, whose first byte is next, and out of it.
  void enter() {
    ++at_;
    if (++level_ > most_levels_) [[unlikely]] throw_too_deep();
  }
  void leave() { --level_; }
  /// What `enter` has counted; `back_to` takes back what was entered and not left.
  int level() const { return level_; }

  /// Takes a member's name, whose quote is next, and the colon. It lies in the body, or in `made`.
  std::string_view name(MadeTexts& made) {
    std::string_view taken = text(made);
    colon();
    return taken;
  }
  /// The same if it is just `expected`, which has neither a quote nor a backslash in it.
  bool skip_name(std::string_view expected) {
    std::size_t size = expected.size();
    if (static_cast<std::size_t>(end_ - at_) < size + 2 || at_[size + 1] != '"') return false;
    if (std::memcmp(at_ + 1, expected.data(), size) != 0) return false;
    at_ += size + 2;
    colon();
    return true;
  }
  /// Behind a value in an object or array that ends with `end`: whether another follows. Takes what says so.
  bool another(char end) {
    char byte = next();
    if (byte == ',') {
      ++at_;
      return true;
    }
    if (byte != end || at_ == end_) [[unlikely]] throw_no_end(end);
    ++at_;
    return false;
  }

  /// Takes a text, whose quote is next. It lies in the body, or in `made`.
  std::string_view text(MadeTexts& made) {
    const char* begin = at_ + 1;
    Ends ends = end_of_text();
    std::string_view inside(begin, static_cast<std::size_t>(at_ - 1 - begin));
    return ends.escaped ? unescaped(inside, &made) : inside;
  }
  /// Takes a number, whose first byte is next.
  JsonNumber number();
  /// Takes `true`, `false` or `null`; throws Unreadable if that is not what is next.
  void word(std::string_view word);
  /// Takes any value, and makes nothing of it.
  void skip_value();
  /// After the last value: throws Unreadable if there is more than white space.
  void end();

  [[noreturn]] void throw_no_value() const;
  [[noreturn]] void throw_no_name() const;

 private:
  struct Ends {
    bool escaped;
  };

  static bool is_space(char byte) { return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t'; }
  void colon() {
    if (!skip(':')) [[unlikely]] throw Unreadable{"expected a colon behind a member's name"};
  }
  /// Goes behind the quote that ends a text, and checks what is in it but for the escapes.
  Ends end_of_text();
  /// Writes a text without its escapes, or only checks them.
  static std::string_view unescaped(std::string_view inside, MadeTexts* made);
  [[noreturn]] void throw_no_end(char end) const;
  [[noreturn]] void throw_too_deep() const;

  const char* begin_;
  const char* at_;
  const char* end_;
  int level_ = 0;
  const int most_levels_;
};

}  // namespace user_state
