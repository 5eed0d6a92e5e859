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

/// Makes an array without setting it to anything; `width` -1 makes one of one dimension. pybind11's own constructor works
/// out strides, in memory that it asks for, which costs more than the array; a call makes dozens. The type is asked for
/// each time: a `static` would be made by the first caller under a lock of its own while it waits for the GIL, which the
/// second caller holds while it waits for that lock.
template <class T>
T* made_array(pybind11::object& into, pybind11::ssize_t rows, pybind11::ssize_t width = -1) {
  auto& numpy = pybind11::detail::npy_api::get();
  PyObject* type = numpy.PyArray_DescrFromType_(pybind11::detail::npy_format_descriptor<T>::value);  // the array keeps it
  Py_ssize_t shape[] = {rows, width};
  into = pybind11::reinterpret_steal<pybind11::object>(numpy.PyArray_NewFromDescr_(
      numpy.PyArray_Type_, type, width < 0 ? 1 : 2, shape, nullptr, nullptr, 0, nullptr));
  if (!into) throw pybind11::error_already_set();
  return reinterpret_cast<T*>(pybind11::detail::array_proxy(into.ptr())->data);
}

/// What outputs are called: dictionaries of a call's arrays have these for keys.
struct Names {
  std::vector<pybind11::object> arrays, embeddings;
  std::vector<std::vector<pybind11::object>> lists;

  explicit Names(const pybind11::dict& described)
      : arrays(listed(described["array_names"])), embeddings(listed(described["embedding_names"])) {
    for (pybind11::handle names : described["list_names"]) lists.push_back(listed(names));
  }

 private:
  static std::vector<pybind11::object> listed(pybind11::handle names) {
    std::vector<pybind11::object> made;
    for (pybind11::handle name : names) made.push_back(pybind11::reinterpret_borrow<pybind11::object>(name));
    return made;
  }
};

/// The arrays of a call, and where they lie.
class Arrays {
 public:
  Arrays(const Program& program, const Names& names, std::size_t records)
      : rows_(static_cast<pybind11::ssize_t>(records)) {
    out.values = made_array<float>(values_, rows_, program.columns);
    out.status = reinterpret_cast<Status*>(made_array<bool>(present_, rows_));
    out.last_event_us = made_array<std::int64_t>(last_event_us_, rows_);
    for (std::size_t at = 0; at < names.arrays.size(); ++at) {
      out.arrays.push_back(put<float>(arrays_, names.arrays[at], program.array_sizes[at]));
    }
    for (std::size_t at = 0; at < names.embeddings.size(); ++at) {
      out.embeddings.push_back(put<float>(embeddings_, names.embeddings[at], program.dimensions[at]));
    }
    for (std::size_t at = 0; at < names.lists.size(); ++at) {
      const ListShape& shape = program.lists[at];
      pybind11::object length;
      out.lengths.push_back(made_array<std::int64_t>(length, rows_));
      pybind11::dict columns;
      std::vector<std::int64_t*>& grids = out.grids.emplace_back();
      for (std::size_t column = 0; column < shape.columns.size(); ++column) {
        pybind11::handle name = names.lists[at][column];
        bool real = shape.columns[column] == Cells::kReal;
        grids.push_back(real ? reinterpret_cast<std::int64_t*>(put<double>(columns, name, shape.width))
                             : put<std::int64_t>(columns, name, shape.width));
      }
      lists_.append(pybind11::make_tuple(std::move(length), std::move(columns)));
    }
  }

  std::size_t records() const { return static_cast<std::size_t>(rows_); }

  /// All arrays, once they are filled: (values, whether there was a record that could be read, times of last events,
  /// arrays by name, lists as (lengths, grids by column), embeddings by name, all strings, how long each of those is).
  pybind11::tuple made() {
    static_assert(static_cast<int>(Status::kAbsent) == 0 && static_cast<int>(Status::kRead) == 1);  // a bool's bytes
    for (std::size_t at = 0; at < records(); ++at) {
      if (out.status[at] != Status::kRead) out.status[at] = Status::kAbsent;
    }
    pybind11::bytes lengths(reinterpret_cast<const char*>(out.text_lengths.data()),
                            out.text_lengths.size() * sizeof(std::uint16_t));
    return pybind11::make_tuple(values_, present_, last_event_us_, arrays_, lists_, embeddings_,
                                pybind11::bytes(out.texts), lengths);
  }

  Outputs out;

 private:
  template <class T>
  T* put(pybind11::dict& into, pybind11::handle name, int width) const {
    pybind11::object made;
    T* at = made_array<T>(made, rows_, width);
    into[name] = std::move(made);
    return at;
  }

  pybind11::ssize_t rows_;
  pybind11::object values_, present_, last_event_us_;
  pybind11::dict arrays_, embeddings_;
  pybind11::list lists_;
};

/// Refuses times that nothing can be read at.
inline void check_times(std::span<const std::int64_t> times_us) {
  for (std::int64_t time_us : times_us) {
    if (time_us > -kFarthestUs && time_us < kFarthestUs) continue;
    throw pybind11::value_error("expected reading times less than 2^61 us from 1970, got " + std::to_string(time_us));
  }
}

}  // namespace user_state::reading
