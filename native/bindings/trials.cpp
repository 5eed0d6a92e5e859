#include "bindings/trials.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <numeric>
#include <span>
#include <stdexcept>
#include <tuple>
#include <vector>

#include "bindings/from_python.hpp"
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

/// Where tiles of tracks lie, given seconds that they begin at or hold, as of one user's clock: starts in seconds, or
/// TrackAxes::kDropped.
py::array_t<std::int64_t> place_tiles(const py::object& axes_of_tracks, const Array<std::int64_t>& track,
                                      const Array<std::int64_t>& start_s, std::int64_t clock_us) {
  TrackAxes axes = axes_of(axes_of_tracks);
  std::span<const std::int64_t> tracks = numbers_in(track), starts_s = numbers_in(start_s);
  expect(tracks.size() == starts_s.size(), "expected a track for each start");
  axes.set_clock(clock_us);
  std::vector<std::int64_t> placed;
  for (std::size_t at = 0; at < tracks.size(); ++at) {
    auto axis = axes.axis_of(static_cast<int>(tracks[at]));
    placed.push_back(axes.place_on(axis, starts_s[at]));
    bool stays = placed.back() == starts_s[at] && starts_s[at] != TrackAxes::kDropped;
    if (stays != axes.stays_on(axis, starts_s[at])) {
      throw std::logic_error("expected what is placed where it was to stay, and nothing else");
    }
  }
  return column_of_numbers(placed);
}

}  // namespace

void define_trials(py::module_& module) {
  module.def("place_tiles", &place_tiles, py::arg("axes"), py::arg("track"), py::arg("start_s"), py::arg("clock_us"));
  module.def("unite_klls", &unite_klls, py::arg("k"), py::arg("sketches"), py::arg("numbers"));
}

}  // namespace user_state
