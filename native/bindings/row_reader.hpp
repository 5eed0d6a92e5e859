// Message bodies -> event rows (user_state/events/compiled_rows.py, which says what is read how).
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "codec/avro_value.hpp"

namespace user_state {

/// Reads events of one plan, of every schema that they may have been written with.
class RowReader {
 public:
  /// `writers` has (first bytes of a body, fields, values of what is not written) of each schema, the plan's own first;
  /// a field is (how it is read, [(place in the row, check)]). Throws Declined if a place of the row stays empty.
  RowReader(const pybind11::sequence& writers, pybind11::handle limits, std::size_t width);

  /// Returns `(user, id_hash, time_us, published_us, *fields)` for each body, None for one that Python has to judge.
  /// `published` has the publish time of each message, None if it is not known.
  pybind11::list rows(const pybind11::list& bodies, const pybind11::list& published) const;

 private:
  enum class Check : std::uint8_t { kUser, kId, kTime, kPublished, kText, kItem, kFloat, kInt, kMillis };
  struct Target {
    Py_ssize_t place;
    Check check;
  };
  struct Field {
    FlatType type;
    std::vector<Target> targets;
  };
  struct Filling {
    Py_ssize_t place;
    pybind11::object value;
  };
  struct Writer {
    std::string head;
    std::vector<Field> fields;
    std::vector<Filling> fillings;
  };
  /// What `EventDecoder.row` takes.
  struct Limits {
    std::size_t id_bytes, text_bytes;
    std::int64_t first_us, end_us, time_unit_us, published_unit_us;
  };

  static Check check_of(const std::string& name);
  static FlatType type_of(pybind11::handle type);
  void check_complete(const Writer& writer) const;
  const Writer& writer_of(std::string_view& body) const;
  pybind11::object row(PyObject* body, PyObject* published) const;
  pybind11::object checked(const AvroValue& value, Check check) const;
  pybind11::object time_of(std::int64_t value, std::int64_t unit_us) const;

  std::vector<Writer> writers_;
  Limits limits_;
  Py_ssize_t width_;
};

}  // namespace user_state
