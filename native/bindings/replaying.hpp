// Replay for Python: columns of events and questions in, outcomes and rows of outputs out.
#pragma once

#include <pybind11/pybind11.h>

namespace user_state {

/// Defines `Replay` in the module; user_state/_native.pyi lists it.
void define_replay(pybind11::module_& module);

}  // namespace user_state
