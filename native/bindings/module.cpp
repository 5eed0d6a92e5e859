#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/event_decoding.hpp"
#include "bindings/event_rows.hpp"
#include "bindings/folding.hpp"
#include "bindings/held_batch.hpp"
#include "bindings/message_list.hpp"
#include "bindings/reading.hpp"
#include "bindings/relevance.hpp"
#include "bindings/replaying.hpp"
#include "bindings/source_id.hpp"
#include "bindings/trials.hpp"

namespace py = pybind11;

PYBIND11_MODULE(_native, module) {
  module.doc() = "The compiled core: see docs/design/native.md.";
  module.attr("SOURCE_ID") = user_state::kSourceId;
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const user_state::Corrupt&) {
      py::set_error(PyExc_NotImplementedError, "expected a plan, or arguments, that this was made for");
    }
  });
  user_state::define_folding(module);
  user_state::define_message_list(module);
  user_state::define_held_batch(module);
  user_state::define_event_decoding(module);
  module.def("columns_of_rows", &user_state::columns_of_rows, py::arg("kinds"), py::arg("rows"));
  module.def("hashes_of_texts", &user_state::hashes_of_texts, py::arg("offsets"), py::arg("bytes"), py::arg("seed"));
  user_state::define_relevance(module);
  user_state::define_trials(module);
  user_state::reading::define_record_reader(module);
  user_state::define_replay(module);
}
