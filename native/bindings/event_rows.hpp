// Event rows as Python has them, taken apart into columns (user_state/state/events.py, `Events.from_rows`).
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <string_view>

namespace user_state {

/// Returns (users, index of each event's user, id hashes, times, publish times, columns of fields, code of each text)
/// of rows `(user, id_hash, time_us, published_us, *fields)`; None for rows that are not of those kinds.
/// `kinds` has the first letter of each field's kind.
pybind11::object columns_of_rows(std::string_view kinds, const pybind11::object& rows);

/// Returns the xxh64 of n texts that lie in `bytes` one after the other: text i from `offsets[i]` to `offsets[i + 1]`.
pybind11::array_t<std::uint64_t> hashes_of_texts(const pybind11::array_t<std::int64_t>& offsets,
                                                 const pybind11::buffer& bytes, std::uint64_t seed);

}  // namespace user_state
