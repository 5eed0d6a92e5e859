#include "bindings/histories.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/calling.hpp"
#include "bindings/folding.hpp"

namespace py = pybind11;

namespace user_state::reading {

namespace {

py::array_t<std::int64_t> array_of(const std::vector<std::int64_t>& numbers) {
  return py::array_t<std::int64_t>(static_cast<py::ssize_t>(numbers.size()), numbers.data());
}

py::tuple columns_of(const History& history) {
  py::tuple columns(history.columns.size());
  for (std::size_t at = 0; at < history.columns.size(); ++at) {
    auto column = array_of(history.columns[at]);
    bool real = history.kinds[at] == LogKind::kReal;
    columns[at] = real ? py::object(column.attr("view")("float64")) : py::object(std::move(column));
  }
  return columns;
}

/// Returns what `made_of` does, and what is wrong by record.
py::tuple histories(const SharedProgram& shared, Folding& folding, const py::sequence& sequence,
                    const std::vector<std::size_t>& logs,
                    const std::optional<py::array_t<std::int64_t, py::array::c_style>>& at_us) {
  const Program& program = shared.program();
  Blobs blobs(sequence);
  if (at_us && (at_us->ndim() != 1 || at_us->size() != static_cast<py::ssize_t>(blobs.size()))) {
    throw py::value_error("expected a reading time for each record");
  }
  const std::int64_t* times_us = at_us ? at_us->data() : nullptr;
  Folding::Borrowed folder(folding);
  Histories found(program, *folder, logs);
  std::vector<Wrong> wrong;
  without_gil([&] {
    for (std::size_t at = 0; at < blobs.size(); ++at) {
      auto time_us = times_us != nullptr ? std::optional(times_us[at]) : std::nullopt;
      if (auto error = found.read(blobs[at], time_us)) wrong.push_back({at, std::move(*error)});
    }
  });
  return py::make_tuple(made_of(found), listed(wrong));
}

/// Returns (((n,) times, (n, half-lives) weights, (n, half-lives, dimensions) sums) of one of the vectors, what is wrong).
py::tuple sums(const SharedProgram& shared, Folding& folding, const py::sequence& sequence, std::size_t part) {
  const Program& program = shared.program();
  Blobs blobs(sequence);
  Folding::Borrowed folder(folding);
  StoredSums stored(program, *folder, part);
  const VectorPart& shape = program.vector_parts[part];
  auto records = static_cast<py::ssize_t>(blobs.size());
  auto half_lives = static_cast<py::ssize_t>(shape.half_lives_us.size());
  py::array_t<std::int64_t> time_us(records);
  py::array_t<double> weights({records, half_lives});
  py::array_t<double> components({records, half_lives, static_cast<py::ssize_t>(shape.dimensions)});
  std::int64_t* times = time_us.mutable_data();
  double *weight = weights.mutable_data(), *component = components.mutable_data();
  std::fill_n(times, time_us.size(), 0);
  std::fill_n(weight, weights.size(), 0.0);
  std::fill_n(component, components.size(), 0.0);
  std::vector<Wrong> wrong;
  without_gil([&] {
    for (std::size_t at = 0; at < blobs.size(); ++at) {
      if (auto error = stored.read(at, blobs[at], times, weight, component)) wrong.push_back({at, std::move(*error)});
    }
  });
  return py::make_tuple(py::make_tuple(time_us, weights, components), listed(wrong));
}

}  // namespace

py::tuple made_of(const Histories& found) {
  py::list rows;
  for (const History& history : found.logs) {
    rows.append(py::make_tuple(array_of(history.begins), array_of(history.time_us), array_of(history.tie),
                               columns_of(history)));
  }
  py::bytes lengths(reinterpret_cast<const char*>(found.text_lengths.data()),
                    found.text_lengths.size() * sizeof(std::uint16_t));
  return py::make_tuple(rows, py::bytes(found.texts), lengths);
}

void define_histories(py::class_<SharedProgram, std::shared_ptr<SharedProgram>>& program) {
  program.def("histories", &histories, py::arg("folding"), py::arg("blobs"), py::arg("logs"),
              py::arg("at_us").none(true) = py::none())
      .def("sums", &sums, py::arg("folding"), py::arg("blobs"), py::arg("part"));
}

}  // namespace user_state::reading
