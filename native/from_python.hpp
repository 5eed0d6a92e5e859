// What Python hands over, as this code's own: the only place that knows both.
#pragma once

#include <pybind11/pybind11.h>

#include "events.hpp"
#include "kll_sketch.hpp"
#include "plan.hpp"

namespace user_state {

/// Takes a Plan over (user_state/core/plan.py).
Plan plan_of(pybind11::handle plan);

/// Takes `user_state.core.kll.unite` over.
Unite unite_of(pybind11::object unite);

/// The columns of Python's `Events` as they lie in memory, which have to outlive what looks at them.
struct EventsOfPython {
  EventsOfPython(const Plan& plan, pybind11::handle events);

  Columns columns;

 private:
  std::vector<pybind11::object> kept_;
};

}  // namespace user_state
