// The inner loops of reading for Python: arrays in, arrays out.
#pragma once

#include <pybind11/pybind11.h>

namespace user_state {

/// Defines them in the module; user_state/_native.pyi lists them.
void define_reading(pybind11::module_& module);

}  // namespace user_state
