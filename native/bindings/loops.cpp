#include "bindings/loops.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <numeric>
#include <stdexcept>
#include <tuple>

#include "families/hlls/registers.hpp"
#include "families/klls/kll_sketch.hpp"
#include "loops/orders.hpp"
#include "loops/window_sums.hpp"

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
py::array_t<T> array_of(const std::vector<T>& numbers) {
  return py::array_t<T>(static_cast<py::ssize_t>(numbers.size()), numbers.data());
}

template <class T>
std::span<T> zeroed(py::array_t<T>& array) {
  std::fill_n(array.mutable_data(), array.size(), T{});
  return {array.mutable_data(), static_cast<std::size_t>(array.size())};
}

void expect(bool sound, const char* what) {
  if (!sound) throw std::invalid_argument(what);
}

/// Expects all of (m,) to be indices into something of that size.
void expect_indices(std::span<const std::int64_t> indices, std::size_t size, const char* what) {
  for (std::int64_t index : indices) expect(index >= 0 && static_cast<std::size_t>(index) < size, what);
}

Order order_of_columns(const std::vector<Array<std::int64_t>>& arrays) {
  expect(!arrays.empty(), "expected columns, got none");
  std::vector<Column> columns;
  for (const auto& array : arrays) columns.push_back(numbers_in(array));
  for (Column column : columns) expect(column.size() == columns[0].size(), "expected columns of one length");
  return order_rows(columns);
}

py::array_t<std::int64_t> order_of(const std::vector<Array<std::int64_t>>& columns) {
  return array_of(order_of_columns(columns).rows);
}

py::tuple grouped(const std::vector<Array<std::int64_t>>& columns) {
  Order order = order_of_columns(columns);
  std::vector<std::int64_t> run(order.rows.size());
  for (std::size_t at = 0; at < order.heads.size(); ++at) {
    auto begin = run.begin() + order.heads[at];
    std::fill(begin, at + 1 < order.heads.size() ? run.begin() + order.heads[at + 1] : run.end(), at);
  }
  return py::make_tuple(array_of(order.rows), array_of(order.heads), array_of(run));
}

py::array_t<std::int64_t> order_of_numbers(const Array<std::int64_t>& group, const Array<double>& numbers) {
  expect(group.size() == numbers.size(), "expected as many groups as numbers");
  return array_of(order_by_number(numbers_in(group), numbers_in(numbers)));
}

py::tuple heaviest_of_lists(const Array<std::int64_t>& list, const Array<std::int64_t>& weight,
                            const Array<std::int64_t>& most) {
  expect(list.size() == weight.size(), "expected as many lists as weights");
  expect_indices(numbers_in(list), most.size(), "a list that there is not");
  Heaviest found = heaviest(numbers_in(list), numbers_in(weight), numbers_in(most));
  return py::make_tuple(array_of(found.rows), array_of(found.places));
}

py::array_t<std::uint8_t> unite_registers(const Array<std::uint8_t>& tiles, const Array<std::int64_t>& row,
                                          const Array<std::int64_t>& coupons, const Array<std::int64_t>& coupon_row,
                                          std::size_t rows) {
  expect(tiles.ndim() == 2 && tiles.shape(0) == row.size(), "expected a row for each tile");
  expect(coupons.size() == coupon_row.size(), "expected a row for each coupon");
  expect_indices(numbers_in(row), rows, "a tile of a row that there is not");
  expect_indices(numbers_in(coupon_row), rows, "a coupon of a row that there is not");
  auto size = static_cast<std::size_t>(tiles.shape(1));
  expect(size > 0 && (size & (size - 1)) == 0, "expected a power of two of registers");
  py::array_t<std::uint8_t> united({rows, size});
  Registers registers = zeroed(united);
  put_tiles(registers, size, numbers_in(tiles), numbers_in(row));
  put_coupons(registers, size, numbers_in(coupons), numbers_in(coupon_row));
  return united;
}

py::tuple sums_of_registers(const Array<std::uint8_t>& registers) {
  expect(registers.ndim() == 2, "expected rows of registers");
  auto rows = static_cast<std::size_t>(registers.shape(0)), size = static_cast<std::size_t>(registers.shape(1));
  py::array_t<double> low(registers.shape(0)), high(registers.shape(0));
  py::array_t<std::uint32_t> zeros(registers.shape(0));
  for (std::size_t row = 0; row < rows; ++row) {
    RegisterSums sums = register_sums(numbers_in(registers).subspan(row * size, size));
    low.mutable_data()[row] = sums.low;
    high.mutable_data()[row] = sums.high;
    zeros.mutable_data()[row] = sums.zeros;
  }
  return py::make_tuple(low, high, zeros);
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
  return py::make_tuple(py::tuple(py::cast(sizes)), united.least(), united.greatest(), array_of(all));
}

py::tuple sums_of_windows(const Array<std::int64_t>& key, const Array<std::int64_t>& count,
                          const Array<double>& values, const Array<std::int8_t>& keeps, std::size_t users,
                          const Array<std::int64_t>& starts_s) {
  expect(values.ndim() == 2 && values.shape(1) == key.size() && count.size() == key.size(), "expected one length");
  auto windows = static_cast<std::size_t>(starts_s.size()), tracks = static_cast<std::size_t>(keeps.size());
  auto width = static_cast<std::size_t>(values.shape(0));
  constexpr std::size_t columns[] = {0, 1, 1, 1, 2, 4, 2};  // of each of `Keeps`
  for (std::int8_t kept : numbers_in(keeps)) {
    expect(kept >= 0 && kept < 7 && columns[kept] <= width, "expected columns for what tracks keep");
  }
  py::array_t<double> counts({windows, users, tracks}), sums({width, windows, users, tracks});
  std::span<const Keeps> keeping{reinterpret_cast<const Keeps*>(keeps.data()), tracks};
  sum_windows({numbers_in(key), numbers_in(count), numbers_in(values)}, keeping, users, numbers_in(starts_s),
              {zeroed(counts), zeroed(sums)});
  return py::make_tuple(counts, sums);
}

}  // namespace

void define_reading(py::module_& module) {
  module.def("order_of", &order_of, py::arg("columns"));
  module.def("grouped", &grouped, py::arg("columns"));
  module.def("order_by_number", &order_of_numbers, py::arg("group"), py::arg("numbers"));
  module.def("heaviest", &heaviest_of_lists, py::arg("of_list"), py::arg("weight"), py::arg("most"));
  module.def("unite_registers", &unite_registers, py::arg("tiles"), py::arg("row"), py::arg("coupons"),
             py::arg("coupon_row"), py::arg("rows"));
  module.def("register_sums", &sums_of_registers, py::arg("registers"));
  module.def("unite_klls", &unite_klls, py::arg("k"), py::arg("sketches"), py::arg("numbers"));
  module.def("sum_windows", &sums_of_windows, py::arg("key"), py::arg("count"), py::arg("values"), py::arg("keeps"),
             py::arg("users"), py::arg("starts_s"));
}

}  // namespace user_state
