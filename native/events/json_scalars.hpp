// Which value of an Avro type a JSON scalar stands for.
//
//   int, long        a whole number, also as 5.0 or 5e0; a time may be ISO 8601 text, and is cut to its unit
//   float, double    a number; a float is the nearest double, rounded
//   string           a text
//   enum             a symbol; another text is the enum's default, if it has one
//   bytes, fixed     a text of one character, U+0000 to U+00FF, for each byte, as Avro's own JSON has it
//   uuid of a fixed  36 characters, or 16 as above
//   decimal          a number, or a text that is one, without a digit too many; in `{"bytes": ...}` bytes as above
//
// docs/spec.md has the table for people.
#pragma once

#include <string>
#include <string_view>

#include "events/avro_program.hpp"
#include "events/json_text.hpp"

namespace user_state {

/// What a node takes, for people: "a text".
std::string json_words_of(const AvroProgram& program, const AvroNode& node);

/// Takes a scalar as a node's value; false if it is none of that type. Texts of values lie where `text` lies, in the
/// program, or in `made`.
bool take_json_text(const AvroNode& node, std::string_view text, bool in_avros_form, MadeTexts& made, AvroValue& value);
bool take_json_number(const AvroNode& node, const JsonNumber& number, MadeTexts& made, AvroValue& value);

/// How well a number or a text goes with a branch of a union, 0 being best and 2 least; -1 for not at all.
int json_rank_of_number(const AvroNode& node, const JsonNumber& number);
int json_rank_of_text(const AvroNode& node);

}  // namespace user_state
