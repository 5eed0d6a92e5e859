// Parts of the core by themselves, for tests that hold them to the library they are from, or to what they promise.
#pragma once

#include <pybind11/pybind11.h>

namespace user_state {

/// Defines `unite_klls` and `place_tiles` in the module; user_state/_native.pyi lists them.
void define_trials(pybind11::module_& module);

}  // namespace user_state
