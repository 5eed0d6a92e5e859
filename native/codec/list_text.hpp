// A list as one text of a record: JSON without spaces, as events/event_decoder.cpp writes it. Records come from outside, so
// that whoever reads one looks whether a text is such a list before anybody takes it for one.
//
//     ["a","b"]   texts; escaped are the quote, the backslash, and what is below a space
//     [1,-2]      whole numbers of 64 bits; booleans are 0 and 1
//     [0.5,1e+22] numbers with a point or an exponent
#pragma once

#include <cstdint>
#include <string_view>

namespace user_state {

enum class ListOf : std::uint8_t { kNothing, kTexts, kReals, kWholes, kBools };

/// What a column of a log has lists of, by its kind in the layout (user_state/plan/layout.py).
ListOf list_of(std::string_view kind);

/// What is said of a text that is none.
inline constexpr const char* kNoList = "a text that is no list, where one has to be";
/// Whether a text is a list of at least one value of the kind, and nothing else.
bool is_list_text(std::string_view text, ListOf kind);

}  // namespace user_state
