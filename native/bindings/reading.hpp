// Reading for Python: a plan's outputs as tuples and packed records in, arrays out.
#pragma once

#include <pybind11/pybind11.h>

namespace user_state::reading {

/// Defines `ReadingProgram` in the module; user_state/_native.pyi lists it.
void define_record_reader(pybind11::module_& module);

}  // namespace user_state::reading
