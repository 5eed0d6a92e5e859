#include "bindings/replaying.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <optional>

#include "bindings/arrays.hpp"
#include "bindings/calling.hpp"
#include "bindings/folding.hpp"
#include "bindings/from_python.hpp"
#include "bindings/histories.hpp"
#include "bindings/shared_program.hpp"
#include "record/replay.hpp"

namespace py = pybind11;

namespace user_state {

namespace {

/// Returns (outcomes, what is wrong by question, outputs as `Arrays` makes them, histories, their order).
///
/// `judged` are outcomes that are known, or None. `logs` are those whose histories are asked for, at each question; without any, histories are None.
py::tuple replay(const reading::SharedProgram& shared, Folding& folding, const py::object& batch, const py::object& user,
                 const py::object& at_us, const py::object& visible, const std::vector<std::size_t>& logs,
                 std::int64_t seen_ids_cap, std::size_t most_bytes, std::int64_t retention_us, std::int64_t delay_us,
                 const std::optional<py::array_t<std::int8_t, py::array::c_style>>& judged) {
  const Plan& plan = folding.plan();
  EventsOfPython taken(plan, batch);
  const Columns& columns = taken.columns;
  check_arrivals(columns);
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
  const reading::Program& program = shared.program();
  reading::Arrays arrays(program, shared.names, count);
  Folding::Borrowed folder(folding);
  std::optional<reading::Histories> histories;
  if (!logs.empty()) histories.emplace(program, *folder, logs);
  py::array_t<std::int8_t> outcome(static_cast<py::ssize_t>(columns.user.size()));
  if (judged) {
    if (judged->size() != outcome.size()) throw py::value_error("expected an outcome for each event");
    std::copy(judged->data(), judged->data() + judged->size(), outcome.mutable_data());
  }
  auto* outcomes = reinterpret_cast<Outcome*>(outcome.mutable_data());
  std::vector<Wrong> wrong;
  std::vector<std::uint32_t> order;
  without_gil([&] {
    Admission admission({plan.allowed_lateness_us, plan.max_clock_skew_us, seen_ids_cap});
    Events events(plan, columns);
    Replay replay(*folder, admission, program, arrays.out, histories ? &*histories : nullptr,
                  {most_bytes, {retention_us, delay_us}, judged.has_value()});
    order = replay.play(events, {columns.id_hash, columns.time_us, columns.published_us}, questions, outcomes,
                        [&](std::uint32_t question, RecordError error) { wrong.push_back({question, std::move(error)}); });
  });
  py::array_t<std::int64_t> played(static_cast<py::ssize_t>(count));
  std::copy(order.begin(), order.end(), played.mutable_data());
  py::object rows = histories ? py::object(reading::made_of(*histories)) : py::none();
  return py::make_tuple(outcome, listed(wrong), arrays.made(), rows, played);
}

}  // namespace

void define_replay(py::module_& module) {
  module.def("replay", &replay, py::arg("program"), py::arg("folding"), py::arg("events"), py::arg("user"),
             py::arg("at_us"), py::arg("visible"), py::arg("logs"), py::arg("seen_ids_cap"), py::arg("most_bytes"),
             py::arg("retention_us"), py::arg("delay_us"), py::arg("judged"));
}

}  // namespace user_state
