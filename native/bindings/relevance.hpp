// Which events a plan takes, and which pass its filters, for Python.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "plan.hpp"

namespace user_state {

/// Threads may share it.
class Relevance {
 public:
  /// `plan` is a Python Plan.
  explicit Relevance(pybind11::handle plan);

  /// (m,) whether any piece of state takes each event.
  pybind11::array_t<bool> relevant(pybind11::handle events) const;
  /// (m,) whether each event passes one of the plan's filters; IndexError for none of them.
  pybind11::array_t<bool> matches(pybind11::handle events, int filter) const;

 private:
  const Plan plan_;
};

void define_relevance(pybind11::module_& module);

}  // namespace user_state
