// What Python hands over, as this code's own: the only place that knows both.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <span>
#include <string_view>
#include <vector>

#include "events/events.hpp"
#include "plan.hpp"
#include "record/layout.hpp"

namespace user_state {

/// Takes a Plan over (user_state/plan/plan.py).
Plan plan_of(pybind11::handle plan);

/// Takes TrackAxes over (user_state/plan/track_axes.py).
TrackAxes axes_of(pybind11::handle axes);

/// Takes a Layout over (user_state/plan/layout.py).
Layout layout_of(pybind11::handle layout);

/// What a `bytes` holds; anything else is a TypeError.
std::string_view bytes_of(pybind11::handle blob);

/// The numbers of an array of one dimension, which is appended to `kept` and lives as long as that.
template <class T>
std::span<const T> column_of(pybind11::handle array, std::vector<pybind11::object>& kept) {
  auto taken = pybind11::array_t<T, pybind11::array::c_style>::ensure(array);
  if (!taken) throw pybind11::error_already_set();
  if (taken.ndim() != 1) throw pybind11::value_error("expected arrays of one dimension");
  kept.push_back(taken);
  return {taken.data(), static_cast<std::size_t>(taken.size())};
}

/// The columns of an `EventBatch` of this module, or of Python's `Events`, as they lie in memory. Either has to outlive
/// this, and this what looks at them.
struct EventsOfPython {
  EventsOfPython(const Plan& plan, pybind11::handle events);

  Columns columns;

 private:
  std::vector<pybind11::object> kept_;
};

/// Refuses events that cannot be judged: other than one time of each kind and one id an event, or times that no record
/// holds.
void check_arrivals(const Columns& columns);

}  // namespace user_state
