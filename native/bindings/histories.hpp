// Histories for Python: packed records in, columns out.
#pragma once

#include <pybind11/pybind11.h>

#include <memory>

#include "bindings/shared_program.hpp"
#include "record/histories.hpp"

namespace user_state::reading {

/// Returns ([(begins, time_us, tie, columns) of each log], all strings, their lengths).
pybind11::tuple made_of(const Histories& histories);

/// Defines `histories` and `sums` of `ReadingProgram`; user_state/_native.pyi lists them.
void define_histories(pybind11::class_<SharedProgram, std::shared_ptr<SharedProgram>>& program);

}  // namespace user_state::reading
