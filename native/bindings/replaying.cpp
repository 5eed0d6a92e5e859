#include "bindings/replaying.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>

#include "bindings/arrays.hpp"
#include "bindings/calling.hpp"
#include "bindings/from_python.hpp"
#include "bindings/histories.hpp"
#include "record/replay.hpp"

namespace py = pybind11;

namespace user_state {

namespace {

/// Returns (outcomes, what each question could not be answered for, outputs as of `features`, histories, their order).
///
/// `marker`, `blanks` and `unite` are those of `Folder`; `logs` are those whose histories are asked for, at each
/// question; without any, histories are None.
py::tuple replay(const reading::Program& program, const py::object& plan, std::string marker,
                 std::vector<std::string> blanks, const py::object& unite, const py::object& batch,
                 const py::object& user, const py::object& at_us, const py::object& visible,
                 const std::vector<std::size_t>& logs) {
  // Of this call alone: other threads run meanwhile.
  Folder folder(plan, std::move(marker), std::move(blanks), unite);
  Plan taken = plan_of(plan);
  Admission admission({taken.allowed_lateness_us, taken.max_clock_skew_us, plan.attr("seen_ids_cap").cast<std::int64_t>()});
  EventsOfPython held(taken, batch);
  const Columns& columns = held.columns;
  std::vector<py::object> kept;
  Questions questions{column_of<std::int64_t>(user, kept), column_of<std::int64_t>(at_us, kept),
                      column_of<std::int64_t>(visible, kept)};
  std::size_t count = questions.user.size();
  if (questions.at_us.size() != count || questions.visible.size() != count) {
    throw py::value_error("expected a user, a reading time and a number of events for each question");
  }
  for (std::int64_t of : questions.user) {
    if (of < 0 || static_cast<std::size_t>(of) >= columns.users) {
      throw py::value_error("expected questions about the users of the events, got one about another");
    }
  }
  reading::check_times(questions.at_us);
  reading::Arrays arrays(program, count);
  std::optional<reading::Histories> histories;
  if (!logs.empty()) histories.emplace(program, logs, count);
  Replay replay(folder, admission, program, arrays.out, histories ? &*histories : nullptr,
                plan.attr("max_record_bytes").cast<std::int64_t>());
  py::array_t<std::int8_t> outcome(static_cast<py::ssize_t>(columns.user.size()));
  py::array_t<std::uint8_t> trouble(static_cast<py::ssize_t>(count));
  auto* outcomes = reinterpret_cast<Outcome*>(outcome.mutable_data());
  auto* troubles = reinterpret_cast<Replay::Trouble*>(trouble.mutable_data());
  std::vector<std::uint32_t> order;
  auto play = [&] {
    Events events(taken, columns);
    order = replay.play(events, {columns.id_hash, columns.time_us, columns.published_us}, questions, outcomes, troubles);
  };
  // Sketches are united by way of Python.
  taken.klls.empty() ? without_gil(play) : play();
  py::array_t<std::int64_t> played(static_cast<py::ssize_t>(count));
  std::copy(order.begin(), order.end(), played.mutable_data());
  py::object rows = histories ? py::object(reading::made_of(*histories)) : py::none();
  return py::make_tuple(outcome, trouble, arrays.made(), rows, played);
}

}  // namespace

void define_replay(py::module_& module) {
  module.def("replay", &replay, py::arg("program"), py::arg("plan"), py::arg("marker"), py::arg("blanks"),
             py::arg("unite"), py::arg("events"), py::arg("user"), py::arg("at_us"), py::arg("visible"), py::arg("logs"));
}

}  // namespace user_state
