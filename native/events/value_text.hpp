// Texts and numbers of values that are stored in another form than they are written in.
//
//   the text of an id    an integer in decimal, bytes as lower-case hexadecimal digits, a UUID's bytes as 36 characters
//   a decimal's number   the double nearest to unscaled / 10^scale
//   a time as text       ISO 8601: a date, or date and time with or without fraction and offset; UTC if it has none
//
// user_state/id_text.py has the first rule for Python.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace user_state {

void put_decimal_digits(std::int64_t number, std::string& text);
void put_hex(std::string_view bytes, std::string& text);
/// `bytes` are 16.
void put_uuid(std::string_view bytes, std::string& text);

/// `unscaled` is a big-endian number in two's complement; none at all is 0. Infinite where doubles end, and for numbers of
/// more than 1,024 bytes.
double number_of_decimal(std::string_view unscaled, std::int64_t scale);

/// Microseconds since 1970, digits beyond them cut off; nothing for a text that is no time of the years 1 to 9999.
std::optional<std::int64_t> microseconds_of(std::string_view text);

}  // namespace user_state
