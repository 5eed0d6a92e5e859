// One pass over a body, from bytes to the values of a row. In Python decoding is the dearest thing that is done to an
// event: a dict of its fields, and a call for each of them, twice.
#include "bindings/row_reader.hpp"

#include <cmath>
#include <limits>
#include <pybind11/stl.h>

#include "codec/xxh64.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

constexpr std::string_view kSingleObject = "\xc3\x01";
constexpr std::size_t kHead = 10;
constexpr Py_ssize_t kTimePlace = 2, kPublishedPlace = 3;

py::object owned(PyObject* made) {
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

/// Text as Python has it; bytes that are no UTF-8 are declined.
py::object str_of(std::string_view text) {
  PyObject* made = PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr);
  if (made == nullptr) {
    if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) throw py::error_already_set();
    PyErr_Clear();
    throw Declined{};
  }
  return py::reinterpret_steal<py::object>(made);
}

void need_utf8(std::string_view text) {
  std::size_t at = 0;
  std::uint64_t high = 0;
  for (; at + 8 <= text.size(); at += 8) high |= load<std::uint64_t>(text.data() + at);
  for (; at < text.size(); ++at) high |= static_cast<std::uint8_t>(text[at]);
  if ((high & 0x8080808080808080) != 0) str_of(text);
}

/// Puts a value where none is yet: what `PyTuple_SET_ITEM` finds there, it does not let go.
void put(PyObject* row, Py_ssize_t place, py::object value) { PyTuple_SET_ITEM(row, place, value.release().ptr()); }

}  // namespace

RowReader::RowReader(const py::sequence& writers, py::handle limits, std::size_t width)
    : limits_{limits.attr("id_bytes").cast<std::size_t>(),       limits.attr("text_bytes").cast<std::size_t>(),
              limits.attr("first_us").cast<std::int64_t>(),      limits.attr("end_us").cast<std::int64_t>(),
              limits.attr("time_unit_us").cast<std::int64_t>(),  limits.attr("published_unit_us").cast<std::int64_t>()},
      width_(static_cast<Py_ssize_t>(width)) {
  for (py::handle listed : writers) {
    auto [head, fields, fillings] = listed.cast<std::tuple<std::string, py::sequence, py::sequence>>();
    Writer writer{head, {}, {}};
    need(head.size() == kHead && head.starts_with(kSingleObject));
    for (py::handle field : fields) {
      auto [type, targets] = field.cast<std::pair<py::object, std::vector<std::pair<Py_ssize_t, std::string>>>>();
      Field taken{type_of(type), {}};
      for (const auto& [place, check] : targets) taken.targets.push_back({place, check_of(check)});
      writer.fields.push_back(std::move(taken));
    }
    for (py::handle filling : fillings) {
      auto [place, value] = filling.cast<std::pair<Py_ssize_t, py::object>>();
      writer.fillings.push_back({place, value});
    }
    check_complete(writer);
    writers_.push_back(std::move(writer));
  }
  need(!writers_.empty());
}

RowReader::Check RowReader::check_of(const std::string& name) {
  constexpr std::pair<std::string_view, Check> kNames[] = {
      {"user", Check::kUser}, {"id", Check::kId},     {"time", Check::kTime}, {"published", Check::kPublished},
      {"text", Check::kText}, {"item", Check::kItem}, {"float", Check::kFloat}, {"int", Check::kInt},
      {"millis", Check::kMillis}};
  for (const auto& [known, check] : kNames) {
    if (name == known) return check;
  }
  throw Declined{};
}

FlatType RowReader::type_of(py::handle type) {
  using Kind = FlatType::Kind;
  constexpr std::pair<std::string_view, Kind> kNames[] = {
      {"null", Kind::kNull},     {"boolean", Kind::kBoolean}, {"long", Kind::kLong},
      {"float", Kind::kFloat},   {"double", Kind::kDouble},   {"string", Kind::kString},
      {"bytes", Kind::kBytes},   {"enum", Kind::kEnum},       {"float of long", Kind::kFloatOfLong},
      {"fixed", Kind::kFixed},   {"union", Kind::kUnion},     {"bytes of string", Kind::kBytesOfString},
      {"refused", Kind::kRefused}};
  auto name = type.attr("kind").cast<std::string>();
  for (const auto& [known, kind] : kNames) {
    if (name != known) continue;
    FlatType taken{kind, type.attr("size").cast<std::size_t>(), {}, {}};
    for (py::handle symbol : type.attr("symbols")) {
      taken.symbols.push_back({!symbol.is_none(), symbol.is_none() ? "" : symbol.cast<std::string>()});
    }
    for (py::handle branch : type.attr("branches")) taken.branches.push_back(type_of(branch));
    return taken;
  }
  throw Declined{};
}

/// Of the publish time alone it is known what stands for it; every other place has to be put exactly once.
void RowReader::check_complete(const Writer& writer) const {
  std::vector<int> puts(static_cast<std::size_t>(width_), 0);
  auto count = [&](Py_ssize_t place) {
    need(place >= 0 && place < width_);
    ++puts[static_cast<std::size_t>(place)];
  };
  for (const Field& field : writer.fields) {
    for (const Target& target : field.targets) {
      need((target.place == kPublishedPlace) == (target.check == Check::kPublished));
      count(target.place);
    }
  }
  for (const Filling& filling : writer.fillings) {
    need(filling.place > kPublishedPlace);
    count(filling.place);
  }
  for (Py_ssize_t place = 0; place < width_; ++place) {
    int held = puts[static_cast<std::size_t>(place)];
    need(place == kPublishedPlace ? held <= 1 : held == 1);
  }
}

const RowReader::Writer& RowReader::writer_of(std::string_view& body) const {
  if (!body.starts_with(kSingleObject)) return writers_.front();
  need(body.size() >= kHead);
  std::string_view head = body.substr(0, kHead);
  body.remove_prefix(kHead);
  for (const Writer& writer : writers_) {
    if (writer.head == head) return writer;
  }
  throw Declined{};
}

py::list RowReader::rows(const py::list& bodies, const py::list& published) const {
  const Py_ssize_t size = PyList_GET_SIZE(bodies.ptr());
  if (PyList_GET_SIZE(published.ptr()) != size) throw py::value_error("expected as many publish times as bodies");
  py::list made(size);
  for (Py_ssize_t at = 0; at < size; ++at) {
    py::object one = py::none();
    try {
      one = row(PyList_GET_ITEM(bodies.ptr(), at), PyList_GET_ITEM(published.ptr(), at));
    } catch (const Declined&) {
    }
    PyList_SET_ITEM(made.ptr(), at, one.release().ptr());
  }
  return made;
}

py::object RowReader::row(PyObject* held, PyObject* published) const {
  need(PyBytes_Check(held));
  std::string_view body(PyBytes_AS_STRING(held), static_cast<std::size_t>(PyBytes_GET_SIZE(held)));
  const Writer& writer = writer_of(body);
  Reader in(body);
  py::object made = owned(PyTuple_New(width_));
  PyObject* values = made.ptr();
  AvroValue own_published;
  for (const Field& field : writer.fields) {
    AvroValue value = take_avro_value(field.type, in);
    bool is_str = false;
    for (const Target& target : field.targets) {
      if (target.check == Check::kPublished) {
        own_published = value;
        continue;
      }
      put(values, target.place, checked(value, target.check));
      is_str |= value.is == AvroValue::Is::kText && target.check != Check::kId;
    }
    if (value.is == AvroValue::Is::kText && !is_str) need_utf8(value.text);
  }
  in.end();
  for (const Filling& filling : writer.fillings) put(values, filling.place, filling.value);
  if (published != Py_None) {
    put(values, kPublishedPlace, py::reinterpret_borrow<py::object>(published));
  } else if (own_published.is == AvroValue::Is::kNull) {
    put(values, kPublishedPlace, py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(values, kTimePlace)));
  } else {
    need(own_published.is == AvroValue::Is::kInteger);
    put(values, kPublishedPlace, time_of(own_published.integer, limits_.published_unit_us));
  }
  return made;
}

/// The value as it stands in the row, for the checks of user_state/events/row_checks.py.
py::object RowReader::checked(const AvroValue& value, Check check) const {
  using Is = AvroValue::Is;
  switch (check) {
    case Check::kUser:
      need(value.is == Is::kText && !value.text.empty() && value.text.size() <= limits_.id_bytes);
      return str_of(value.text);
    case Check::kId:
      need(value.is == Is::kText && !value.text.empty() && value.text.size() <= limits_.id_bytes);
      return owned(PyLong_FromUnsignedLongLong(xxh64(value.text, 0)));
    case Check::kTime: need(value.is == Is::kInteger); return time_of(value.integer, limits_.time_unit_us);
    default: break;
  }
  if (value.is == Is::kNull) return py::none();
  switch (check) {
    case Check::kItem: need(!value.text.empty()); [[fallthrough]];
    case Check::kText: need(value.is == Is::kText && value.text.size() <= limits_.text_bytes); return str_of(value.text);
    case Check::kFloat:
      need(value.is == Is::kReal && std::isfinite(value.real));
      return owned(PyFloat_FromDouble(value.real));
    case Check::kInt:
      if (value.is == Is::kBoolean) return py::bool_(value.integer != 0);
      need(value.is == Is::kInteger && value.integer != std::numeric_limits<std::int64_t>::min());
      return owned(PyLong_FromLongLong(value.integer));
    case Check::kMillis: {
      std::int64_t time_us = 0;
      need(value.is == Is::kInteger && !__builtin_mul_overflow(value.integer, 1000, &time_us) &&
           time_us != std::numeric_limits<std::int64_t>::min());
      return owned(PyLong_FromLongLong(time_us));
    }
    default: throw Declined{};
  }
}

py::object RowReader::time_of(std::int64_t value, std::int64_t unit_us) const {
  std::int64_t time_us = 0;
  need(!__builtin_mul_overflow(value, unit_us, &time_us) && time_us >= limits_.first_us && time_us < limits_.end_us);
  return owned(PyLong_FromLongLong(time_us));
}

}  // namespace user_state
