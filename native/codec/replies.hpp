// What Redis answers to MGET, taken apart while it comes: arrays of values, as RESP writes them.
//
//     *2\r\n   $5\r\nhello\r\n   $-1\r\n        an array of "hello" and of nothing; RESP 3 writes nothing as _\r\n
#pragma once

#include <charconv>
#include <cstring>
#include <string_view>

namespace user_state {

/// Takes the values of one array after the other, until it has as many as were asked for.
class Replies {
 public:
  explicit Replies(std::size_t wanted) : wanted_(wanted) {}

  std::size_t taken() const { return taken_; }
  bool done() const { return taken_ == wanted_; }
  /// Whether what comes next is no array of values, but an error, say: that is for others to read.
  bool foreign() const { return foreign_ && left_ == 0; }
  /// Whether an array is none that Redis would send.
  bool broken() const { return foreign_ && left_ > 0; }

  /// Passes the values that `came` holds whole to `value`, which takes a view without data for nothing; returns how many
  /// bytes that were. What is left is to be passed again with what comes behind it.
  template <class Value>
  std::size_t take(std::string_view came, Value value) {
    std::size_t at = 0;
    while (!done() && !foreign_) {
      std::string_view rest = came.substr(at);
      std::size_t line = rest.substr(0, kLongestLine).find("\r\n");
      if (line == std::string_view::npos) {
        // A line that is this long is none of those above.
        foreign_ = rest.size() >= kLongestLine || (left_ == 0 && !rest.empty() && rest[0] != '*');
        break;
      }
      std::size_t after = line + 2;
      if (left_ == 0) {
        std::size_t size = 0;
        foreign_ = rest[0] != '*' || !number(rest.substr(1, line - 1), size) || size == 0 || size > wanted_ - taken_;
        if (foreign_) break;
        left_ = size;
      } else if (std::string_view what = rest.substr(0, line); what == "$-1" || what == "_") {
        value(std::string_view());
        ++taken_, --left_;
      } else {
        std::size_t size = 0;
        foreign_ = rest[0] != '$' || !number(what.substr(1), size);
        if (foreign_ || rest.size() - after < 2 || rest.size() - after - 2 < size) break;
        value(rest.substr(after, size));
        after += size + 2;
        ++taken_, --left_;
      }
      at += after;
    }
    return at;
  }

  /// Has values that came by another way, and were passed on, count as taken.
  void skip(std::size_t values) {
    taken_ += values;
    foreign_ = false;
  }

 private:
  static constexpr std::size_t kLongestLine = 32;

  static bool number(std::string_view text, std::size_t& into) {
    auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), into);
    return wrong == std::errc() && end == text.data() + text.size();
  }

  std::size_t wanted_, taken_ = 0;
  /// How many values of the array are still to come.
  std::size_t left_ = 0;
  bool foreign_ = false;
};

}  // namespace user_state
