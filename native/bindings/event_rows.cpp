// Goes through rows one after the other, and through each once. In Python every column is a loop of its own, which costs
// one event alone as much as a third of its fold, and one of many a quarter.
#include "bindings/event_rows.hpp"

#include <pybind11/numpy.h>

#include <cstdint>
#include <limits>
#include <vector>

#include "bindings/from_python.hpp"
#include "codec/xxh64.hpp"
#include "events/events.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

constexpr Py_ssize_t kFixed = 4;

std::int64_t integer_of(PyObject* value) {
  need(PyLong_Check(value));
  int overflow = 0;
  std::int64_t number = PyLong_AsLongLongAndOverflow(value, &overflow);
  need(overflow == 0);
  return number;
}

std::uint64_t hash_of(PyObject* value) {
  need(PyLong_CheckExact(value));
  std::uint64_t number = PyLong_AsUnsignedLongLong(value);
  if (PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw Corrupt{};
  }
  return number;
}

/// Strings by number, in order of their first coming.
class Numbered {
 public:
  std::int64_t number_of(PyObject* text) {
    need(PyUnicode_CheckExact(text));
    PyObject* found = PyDict_GetItemWithError(numbers_.ptr(), text);
    if (found != nullptr) return PyLong_AsLongLong(found);
    if (PyErr_Occurred() != nullptr) throw py::error_already_set();
    py::int_ added(next_);
    if (PyDict_SetItem(numbers_.ptr(), text, added.ptr()) != 0) throw py::error_already_set();
    return next_++;
  }

  const py::dict& numbers() const { return numbers_; }
  py::list texts() const {
    auto listed = py::reinterpret_steal<py::list>(PyDict_Keys(numbers_.ptr()));
    if (!listed) throw py::error_already_set();
    return listed;
  }

 private:
  py::dict numbers_;
  std::int64_t next_ = 0;
};

/// One column on its way out; of lists, all of their values.
struct Column {
  char kind;
  py::array array;
  std::int64_t* integers = nullptr;
  double* doubles = nullptr;

  Column(char letter, Py_ssize_t size) : kind(letter) {
    if (kind == 'f') {
      py::array_t<double> made(size);
      doubles = made.mutable_data();
      array = std::move(made);
    } else {
      py::array_t<std::int64_t> made(size);
      integers = made.mutable_data();
      array = std::move(made);
    }
  }

  void put(Py_ssize_t row, PyObject* value, Numbered& pool) const {
    bool null = value == Py_None;
    switch (kind) {
      case 's': integers[row] = null ? kNullCode : pool.number_of(value); break;
      case 'f':
        need(null || PyFloat_Check(value));
        doubles[row] = null ? std::numeric_limits<double>::quiet_NaN() : PyFloat_AS_DOUBLE(value);
        break;
      default: integers[row] = null ? kNullInt : integer_of(value);
    }
  }
};

bool is_list(char kind) { return kind >= 'A' && kind <= 'Z'; }

/// The column of lists at a place of each row: where each ends, and their values.
py::object lists_of(char kind, PyObject* rows, Py_ssize_t place, Numbered& pool) {
  const Py_ssize_t size = PySequence_Fast_GET_SIZE(rows);
  auto list_in = [&](Py_ssize_t row) {
    PyObject* list = PyTuple_GET_ITEM(PySequence_Fast_GET_ITEM(rows, row), place);
    need(list == Py_None || PyList_Check(list));
    return list;
  };
  py::array_t<std::int64_t> ends(size + 1);
  std::int64_t* end = ends.mutable_data();
  end[0] = 0;
  for (Py_ssize_t row = 0; row < size; ++row) {
    PyObject* list = list_in(row);
    end[row + 1] = end[row] + (list == Py_None ? 0 : PyList_GET_SIZE(list));
  }
  Column values(static_cast<char>(kind - 'A' + 'a'), end[size]);
  Py_ssize_t at = 0;
  for (Py_ssize_t row = 0; row < size; ++row) {
    PyObject* list = list_in(row);
    for (Py_ssize_t item = 0; list != Py_None && item < PyList_GET_SIZE(list); ++item) {
      need(PyList_GET_ITEM(list, item) != Py_None);
      values.put(at++, PyList_GET_ITEM(list, item), pool);
    }
  }
  return py::make_tuple(ends, values.array);
}

}  // namespace

py::object columns_of_rows(std::string_view kinds, const py::object& rows) {
  auto listed = py::reinterpret_steal<py::object>(PySequence_Fast(rows.ptr(), "expected rows"));
  if (!listed) throw py::error_already_set();
  const Py_ssize_t size = PySequence_Fast_GET_SIZE(listed.ptr());
  Numbered users, pool;
  py::array_t<std::uint64_t> id_hash(size);
  py::array_t<std::int64_t> user(size), time_us(size), published_us(size);
  std::uint64_t* hashes = id_hash.mutable_data();
  std::int64_t *of = user.mutable_data(), *times = time_us.mutable_data(), *published = published_us.mutable_data();
  std::vector<Column> columns;
  columns.reserve(kinds.size());
  for (char kind : kinds) columns.emplace_back(kind, is_list(kind) ? 0 : size);
  py::tuple fields(columns.size());
  try {
    for (Py_ssize_t row = 0; row < size; ++row) {
      PyObject* values = PySequence_Fast_GET_ITEM(listed.ptr(), row);
      need(PyTuple_Check(values) && PyTuple_GET_SIZE(values) == kFixed + static_cast<Py_ssize_t>(columns.size()));
      of[row] = users.number_of(PyTuple_GET_ITEM(values, 0));
      hashes[row] = hash_of(PyTuple_GET_ITEM(values, 1));
      times[row] = integer_of(PyTuple_GET_ITEM(values, 2));
      published[row] = integer_of(PyTuple_GET_ITEM(values, 3));
      Py_ssize_t at = kFixed;
      for (const Column& column : columns) {
        PyObject* value = PyTuple_GET_ITEM(values, at++);
        if (!is_list(column.kind)) column.put(row, value, pool);
      }
    }
    for (std::size_t field = 0; field < columns.size(); ++field) {
      if (is_list(columns[field].kind)) {
        fields[field] = lists_of(columns[field].kind, listed.ptr(), kFixed + static_cast<Py_ssize_t>(field), pool);
      } else {
        fields[field] = std::move(columns[field].array);
      }
    }
  } catch (const Corrupt&) {
    return py::none();
  }
  return py::make_tuple(users.texts(), user, id_hash, time_us, published_us, fields, pool.numbers());
}

py::array_t<std::uint64_t> hashes_of_texts(const py::array_t<std::int64_t>& offsets, const py::buffer& bytes,
                                           std::uint64_t seed) {
  std::vector<py::object> kept;
  auto ends = column_of<std::int64_t>(offsets, kept);
  if (ends.empty()) throw py::value_error("expected an offset more than there are texts");
  py::buffer_info held = bytes.request();
  std::int64_t size = held.size * held.itemsize, before = 0;
  for (std::int64_t end : ends) {
    if (end < before || end > size) throw py::value_error("expected ascending offsets within the bytes");
    before = end;
  }
  py::array_t<std::uint64_t> hashes(static_cast<py::ssize_t>(ends.size() - 1));
  auto* into = hashes.mutable_data();
  const auto* from = static_cast<const char*>(held.ptr);
  py::gil_scoped_release released;
  for (std::size_t text = 0; text + 1 < ends.size(); ++text) {
    into[text] = Xxh64::hash({from + ends[text], static_cast<std::size_t>(ends[text + 1] - ends[text])}, seed);
  }
  return hashes;
}

}  // namespace user_state
