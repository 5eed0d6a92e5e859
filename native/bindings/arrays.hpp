// The arrays that a call fills with finished outputs, for Python.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "families/part.hpp"

namespace user_state::reading {

/// The arrays of a call, and where they lie.
class Arrays {
 public:
  Arrays(const Program& program, std::size_t records) : rows_(static_cast<pybind11::ssize_t>(records)) {
    out.values = grid(values_, program.columns);
    out.status = reinterpret_cast<Status*>(column(status_));
    out.last_event_us = column(last_event_us_);
    for (int size : program.array_sizes) out.arrays.push_back(added<float>(arrays_, size));
    for (int size : program.dimensions) out.embeddings.push_back(added<float>(embeddings_, size));
    for (const ListShape& shape : program.lists) {
      pybind11::array_t<std::int64_t> length;
      out.lengths.push_back(column(length));
      pybind11::list columns;
      std::vector<std::int64_t*>& grids = out.grids.emplace_back();
      for (Cells cells : shape.columns) {
        bool real = cells == Cells::kReal;
        grids.push_back(real ? reinterpret_cast<std::int64_t*>(added<double>(columns, shape.width))
                             : added<std::int64_t>(columns, shape.width));
      }
      lists_.append(pybind11::make_tuple(length, columns));
    }
  }

  pybind11::tuple made() const {
    pybind11::bytes lengths(reinterpret_cast<const char*>(out.text_lengths.data()),
                      out.text_lengths.size() * sizeof(std::uint16_t));
    return pybind11::make_tuple(values_, status_, last_event_us_, arrays_, lists_, embeddings_, pybind11::bytes(out.texts), lengths);
  }

  Outputs out;

 private:
  template <class T>
  T* grid(pybind11::array_t<T>& into, int width) const {
    into = pybind11::array_t<T>({rows_, static_cast<pybind11::ssize_t>(width)});
    return into.mutable_data();
  }
  template <class T>
  T* column(pybind11::array_t<T>& into) const {
    into = pybind11::array_t<T>(rows_);
    return into.mutable_data();
  }
  template <class T>
  T* added(pybind11::list& to, int width) const {
    pybind11::array_t<T> made;
    T* at = grid(made, width);
    to.append(std::move(made));
    return at;
  }

  pybind11::ssize_t rows_;
  pybind11::array_t<float> values_;
  pybind11::array_t<std::uint8_t> status_;
  pybind11::array_t<std::int64_t> last_event_us_;
  pybind11::list arrays_, lists_, embeddings_;
};

/// Refuses times that nothing can be read at.
inline void check_times(std::span<const std::int64_t> times_us) {
  for (std::int64_t time_us : times_us) {
    if (time_us > -kFarthestUs && time_us < kFarthestUs) continue;
    throw pybind11::value_error("expected reading times less than 2^61 us from 1970, got " + std::to_string(time_us));
  }
}

}  // namespace user_state::reading
