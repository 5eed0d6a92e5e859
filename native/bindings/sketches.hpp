// Uniting sketches, for tests that hold them to the library's.
#pragma once

#include <pybind11/pybind11.h>

namespace user_state {

/// Defines `unite_klls` in the module; user_state/_native.pyi lists it.
void define_sketches(pybind11::module_& module);

}  // namespace user_state
