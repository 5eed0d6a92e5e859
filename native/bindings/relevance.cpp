#include "bindings/relevance.hpp"

#include <algorithm>

#include "bindings/calling.hpp"
#include "bindings/from_python.hpp"
#include "families/registry.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

/// What `mask_of` says of events, without Python's lock.
template <class MaskOf>
py::array_t<bool> masked(const Plan& plan, py::handle batch, MaskOf mask_of) {
  EventsOfPython taken(plan, batch);
  std::vector<std::uint8_t> mask;
  without_gil([&] { mask = mask_of(Events(plan, taken.columns)); });
  py::array_t<bool> made(static_cast<py::ssize_t>(mask.size()));
  std::ranges::copy(mask, made.mutable_data());
  return made;
}

}  // namespace

Relevance::Relevance(py::handle plan) : plan_(plan_of(plan)) {}

py::array_t<bool> Relevance::relevant(py::handle batch) const {
  return masked(plan_, batch, [&](const Events& events) { return user_state::relevant(plan_, events); });
}

py::array_t<bool> Relevance::matches(py::handle batch, int filter) const {
  if (filter < 0 || static_cast<std::size_t>(filter) >= plan_.filters.size()) throw py::index_error("no such filter");
  return masked(plan_, batch, [&](const Events& events) {
    std::vector<std::uint8_t> mask(events.size());
    for (std::uint32_t row = 0; row < mask.size(); ++row) mask[row] = events.matches(filter, row);
    return mask;
  });
}

void define_relevance(py::module_& module) {
  py::class_<Relevance>(module, "Relevance")
      .def(py::init<py::handle>(), py::arg("plan"))
      .def("relevant", &Relevance::relevant, py::arg("events"))
      .def("matches", &Relevance::matches, py::arg("events"), py::arg("filter"));
}

}  // namespace user_state
