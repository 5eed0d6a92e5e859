// Which events of a batch a filter accepts: every condition once for the whole batch, as a byte an event.
//
// A condition holds for an event or does not, there is no third answer. Null has no value and lies within no bounds, so
// that only `not` accepts it.
#pragma once

#include <cstdint>
#include <span>

#include "plan.hpp"

namespace user_state {

struct Columns;

/// Sets to 0 what stands for the events that a filter does not accept, and leaves all else.
void match(const Filter& filter, const Columns& columns, std::span<std::uint8_t> matched);

}  // namespace user_state
