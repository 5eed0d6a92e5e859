#include "bindings/histories.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "bindings/calling.hpp"

namespace py = pybind11;

namespace user_state::reading {

namespace {

template <class T>
py::array_t<T> array_of(const std::vector<T>& numbers) {
  return py::array_t<T>(static_cast<py::ssize_t>(numbers.size()), numbers.data());
}

py::array_t<std::uint8_t> array_of(const std::vector<Status>& status) {
  return py::array_t<std::uint8_t>(static_cast<py::ssize_t>(status.size()),
                                   reinterpret_cast<const std::uint8_t*>(status.data()));
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

py::tuple histories(const Program& program, const py::sequence& sequence, const std::vector<std::size_t>& logs) {
  Blobs blobs(sequence);
  Histories found(program, logs, blobs.size());
  without_gil([&] {
    for (std::size_t at = 0; at < blobs.size(); ++at) found.read(blobs[at]);
  });
  return made_of(found);
}

/// Returns (status, (n,) times, (n, half-lives) weights, (n, half-lives, dimensions) sums) of one of the vectors.
py::tuple sums(const Program& program, const py::sequence& sequence, std::size_t part) {
  Blobs blobs(sequence);
  StoredSums stored(program, part);
  const VectorPart& shape = program.vector_parts[part];
  auto records = static_cast<py::ssize_t>(blobs.size());
  auto half_lives = static_cast<py::ssize_t>(shape.half_lives_us.size());
  std::vector<Status> status(blobs.size());
  py::array_t<std::int64_t> time_us(records);
  py::array_t<double> weights({records, half_lives});
  py::array_t<double> components({records, half_lives, static_cast<py::ssize_t>(shape.dimensions)});
  std::int64_t* times = time_us.mutable_data();
  double *weight = weights.mutable_data(), *component = components.mutable_data();
  std::fill_n(times, time_us.size(), 0);
  std::fill_n(weight, weights.size(), 0.0);
  std::fill_n(component, components.size(), 0.0);
  without_gil([&] {
    for (std::size_t at = 0; at < blobs.size(); ++at) status[at] = stored.read(at, blobs[at], times, weight, component);
  });
  return py::make_tuple(array_of(status), time_us, weights, components);
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
  return py::make_tuple(array_of(found.status), rows, py::bytes(found.texts), lengths);
}

void define_histories(py::class_<Program>& program) {
  program.def("histories", &histories, py::arg("blobs"), py::arg("logs"))
      .def("sums", &sums, py::arg("blobs"), py::arg("part"));
}

}  // namespace user_state::reading
