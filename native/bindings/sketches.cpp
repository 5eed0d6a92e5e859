#include "bindings/sketches.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <numeric>
#include <span>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "families/klls/kll_sketch.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast>;

template <class T>
std::span<const T> numbers_in(const Array<T>& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

template <class T>
py::array_t<T> column_of_numbers(const std::vector<T>& numbers) {
  return py::array_t<T>(static_cast<py::ssize_t>(numbers.size()), numbers.data());
}

void expect(bool sound, const char* what) {
  if (!sound) throw std::invalid_argument(what);
}

/// Of sketches (sizes of levels, least, greatest, numbers level by level) and numbers, the sketch of everything.
py::tuple unite_klls(int k, const std::vector<std::tuple<std::vector<std::size_t>, double, double, Array<double>>>& sketches,
                     const Array<double>& numbers) {
  Capacities fitting = capacities_of(k);
  KllUnion united;
  united.begin(fitting);
  for (const auto& [sizes, least, greatest, held] : sketches) {
    expect(sizes.size() <= kMostKllLevels, "expected fewer levels");
    expect(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}) == static_cast<std::size_t>(held.size()),
           "expected as many numbers as the sizes of levels say");
    united.see_ends(least, greatest);
    std::span<const double> left = numbers_in(held);
    for (std::size_t level = 0; level < sizes.size(); left = left.subspan(sizes[level++])) {
      for (double number : left.first(sizes[level])) united.see(level, number);
    }
  }
  for (double number : numbers_in(numbers)) united.see(0, number);
  {
    py::gil_scoped_release released;
    united.finish();
  }
  std::vector<std::size_t> sizes;
  std::vector<double> all;
  for (const std::vector<double>& level : united.levels()) {
    sizes.push_back(level.size());
    all.insert(all.end(), level.begin(), level.end());
  }
  return py::make_tuple(py::tuple(py::cast(sizes)), united.least(), united.greatest(), column_of_numbers(all));
}

}  // namespace

void define_sketches(py::module_& module) {
  module.def("unite_klls", &unite_klls, py::arg("k"), py::arg("sketches"), py::arg("numbers"));
}

}  // namespace user_state
