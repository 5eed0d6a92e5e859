// One record's strings by number: its dictionary, and what events bring along.
//
// A dictionary holds every string that the record's other sections name, once, in order of text:
//
//     u4 n | u2 length in bytes x n | UTF-8 x n
//
// One of no strings has no bytes. Sections name a string by its number, from 1 on; 0 is null.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "codec/bytes.hpp"
#include "events/events.hpp"

namespace user_state {

/// Whether bytes are UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

/// Strings of one record by code from 0; a null's code is kNullCode. Equal codes mean equal strings. Sections name
/// strings by number: those a record still uses, in order of text, from 1 on; 0 is null.
class Strings {
 public:
  /// Begins with a batch, which has to outlive the use of its strings.
  void begin(const Events& events);
  /// Begins with the dictionary of a record, and with no string of the batch known to be in it.
  void read(std::string_view dictionary);
  /// After `read`: takes in the dictionary of a second record, whose numbers are those that are asked for from now on.
  void read_second(std::string_view dictionary);

  /// The code of a number that a section of the record that was read last names.
  std::int64_t code_of_number(std::uint64_t number) const {
    need(number <= named_, "a string that the dictionary does not have");
    if (codes_of_second_.empty() || number == 0) return static_cast<std::int64_t>(number) - 1;
    return codes_of_second_[number - 1];
  }
  /// The code of a string of the batch, given its code there, which may be a null's.
  std::int64_t code_of_batch(std::int64_t batch_code) {
    if (batch_code == kNullCode) return kNullCode;
    if (codes_of_batch_[batch_code] == kUnknown) codes_of_batch_[batch_code] = look_up(batch_code);
    return codes_of_batch_[batch_code];
  }

  /// How many strings the dictionary that was read last has.
  std::size_t named() const { return named_; }
  std::string_view text(std::int64_t code) const { return texts_[code]; }
  /// Whether a string's text, and so its number once it is written, is less than another's.
  bool before(std::int64_t a, std::int64_t b) const {
    auto stored = static_cast<std::int64_t>(stored_);
    return a < stored && b < stored ? a < b : texts_[a] < texts_[b];
  }

  /// Says that the record still has a string; every family does so of its strings before any of them writes.
  void use(std::int64_t code) {
    if (code != kNullCode) used_[code] = 1;
  }
  /// Numbers the strings that are used, and writes them.
  void write(Writer& out);
  /// After `write`: how many numbers, from 1 on, name what they named in the record's dictionary.
  std::size_t unmoved() const { return unmoved_; }
  /// After `write`: the number of a string that is used, 0 for a null.
  std::uint64_t number(std::int64_t code) const { return code == kNullCode ? 0 : numbers_[code]; }

 private:
  static constexpr std::int64_t kUnknown = -2;

  std::int64_t look_up(std::int64_t batch_code);
  /// Takes a dictionary apart into `taken`.
  void take(std::string_view dictionary, std::vector<std::string_view>& taken);
  /// Returns the code of a text, which is added if it is new.
  std::int64_t code_of(std::string_view text);

  const Events* events_ = nullptr;
  std::vector<std::string_view> texts_;
  /// How many strings the record's own dictionary has, the one read last has, and keep their numbers.
  std::size_t stored_ = 0, named_ = 0, unmoved_ = 0;
  /// What the numbers of a second dictionary stand for; empty if there is none.
  std::vector<std::int64_t> codes_of_second_;
  std::vector<std::string_view> second_;
  std::vector<std::uint8_t> used_;
  std::vector<std::uint64_t> numbers_;
  std::vector<std::int64_t> codes_of_batch_;
  std::vector<std::int64_t> met_;
  std::vector<std::int64_t> order_;
};

}  // namespace user_state
