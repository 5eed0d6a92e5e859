// Event rows as Python has them, taken apart into columns (user_state/state/events.py, `Events.from_rows`).
#pragma once

#include <pybind11/pybind11.h>

#include <string_view>

namespace user_state {

/// Returns (users, index of each event's user, id hashes, times, publish times, columns of fields, code of each text)
/// of rows `(user, id_hash, time_us, published_us, *fields)`; None for rows that are not of those kinds.
/// `kinds` has the first letter of each field's kind.
pybind11::object columns_of_rows(std::string_view kinds, const pybind11::object& rows);

}  // namespace user_state
