#include "bindings/avro_programs.hpp"

#include <pybind11/stl.h>

#include <optional>
#include <utility>

#include "bindings/from_python.hpp"
#include "events/json_reading.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

using NodeKind = AvroNode::Kind;

constexpr std::pair<std::string_view, NodeKind> kNodeKinds[] = {{"null", NodeKind::kNull},
                                                                {"boolean", NodeKind::kBoolean},
                                                                {"int", NodeKind::kInt},
                                                                {"long", NodeKind::kLong},
                                                                {"float", NodeKind::kFloat},
                                                                {"double", NodeKind::kDouble},
                                                                {"string", NodeKind::kString},
                                                                {"bytes", NodeKind::kBytes},
                                                                {"real of int", NodeKind::kRealOfInt},
                                                                {"real of long", NodeKind::kRealOfLong},
                                                                {"bytes of string", NodeKind::kBytesOfString},
                                                                {"enum", NodeKind::kEnum},
                                                                {"fixed", NodeKind::kFixed},
                                                                {"uuid", NodeKind::kUuid},
                                                                {"decimal", NodeKind::kDecimal},
                                                                {"fixed decimal", NodeKind::kFixedDecimal},
                                                                {"union", NodeKind::kUnion},
                                                                {"record", NodeKind::kRecord},
                                                                {"array", NodeKind::kArray},
                                                                {"map", NodeKind::kMap},
                                                                {"constant", NodeKind::kConstant},
                                                                {"refused", NodeKind::kRefused}};

NodeKind node_kind_of(const std::string& name) {
  for (const auto& [known, kind] : kNodeKinds) {
    if (name == known) return kind;
  }
  throw py::value_error("unknown kind of node: " + name);
}

template <class T>
T part(py::handle node, const char* name) {
  return node.attr(name).cast<T>();
}

/// What members a record's fields are, by their own names and then by others.
std::vector<std::string> names_in_json(const AvroNode& record) {
  std::vector<std::string> names = record.names;
  for (const AvroNode::Key& key : record.keys) names.push_back(key.text);
  return names;
}

std::vector<std::string> symbols_in_json(const AvroNode& declared) {
  std::vector<std::string> symbols;
  for (const AvroNode::Symbol& symbol : declared.symbols) symbols.push_back(symbol.text);
  return symbols;
}

AvroNode node_of(py::handle node) {
  using Numbers = std::vector<std::uint32_t>;
  AvroNode taken;
  taken.kind = node_kind_of(part<std::string>(node, "kind"));
  taken.appends = part<bool>(node, "appends");
  taken.size = part<std::size_t>(node, "size");
  taken.scale = part<std::int64_t>(node, "scale");
  for (py::handle symbol : node.attr("symbols")) {
    taken.symbols.push_back({!symbol.is_none(), symbol.is_none() ? "" : symbol.cast<std::string>()});
  }
  taken.children = part<Numbers>(node, "children");
  taken.constants = part<Numbers>(node, "constants");
  taken.written = part<std::vector<std::string>>(node, "written");
  for (py::handle name : node.attr("names")) taken.names.push_back(name.is_none() ? "" : name.cast<std::string>());
  for (py::handle key : node.attr("keys")) {
    auto [text, child] = key.cast<std::pair<std::string, std::uint32_t>>();
    taken.keys.push_back({text, child});
  }
  taken.places = part<Numbers>(node, "places");
  taken.beneath = part<Numbers>(node, "beneath");
  taken.bytes = part<std::string>(node, "data");
  taken.why = part<std::string>(node, "why");
  taken.unit_ns = part<std::int64_t>(node, "unit_ns");
  taken.is_local = part<bool>(node, "is_local");
  for (py::handle constant : node.attr("absent")) {
    taken.absent.push_back(constant.is_none() ? AvroNode::kNobody : constant.cast<std::uint32_t>());
  }
  if (!taken.absent.empty()) taken.index = TextIndex(names_in_json(taken));
  if (taken.kind == NodeKind::kEnum) taken.index = TextIndex(symbols_in_json(taken));
  return taken;
}

/// Whether all that a program names is there, so that reading need not ask.
void check_program(const AvroProgram& program) {
  auto is_node = [&](std::uint32_t index) { return index < program.nodes.size(); };
  need(is_node(program.root));
  for (const AvroNode& node : program.nodes) {
    for (std::uint32_t child : node.children) need(is_node(child));
    for (std::uint32_t constant : node.constants) {
      need(is_node(constant) && program.nodes[constant].kind == NodeKind::kConstant);
    }
    for (const AvroNode::Key& key : node.keys) need(is_node(key.child));
    bool is_record = node.kind == NodeKind::kRecord;
    bool holds_one = node.kind == NodeKind::kArray || node.kind == NodeKind::kMap || node.kind == NodeKind::kConstant;
    if (holds_one) need(node.children.size() == 1);
    if (is_record) {
      need(node.written.size() == node.children.size());
      need(node.names.size() == node.children.size() + node.constants.size());
      need(node.absent.empty() || (node.absent.size() == node.children.size() && node.constants.empty()));
      for (std::uint32_t constant : node.absent) {
        need(constant == AvroNode::kNobody || (is_node(constant) && program.nodes[constant].kind == NodeKind::kConstant));
      }
      for (const AvroNode::Key& key : node.keys) need(key.child < node.children.size());
    }
    if (node.kind == NodeKind::kUnion) need(node.names.empty() || node.names.size() == node.children.size());
    if (node.kind == NodeKind::kUuid) need(node.size == 16);
  }
}

/// Reads values as Python has them.
class AvroObjects : AvroReading {
 public:
  AvroObjects(const AvroProgram& program, BodyCursor& in, std::size_t bytes)
      : AvroReading(program, in, bytes), program_(program) {}

  py::object take(const AvroNode& node) {
    switch (node.kind) {
      case NodeKind::kUnion: return take(branch(node));
      case NodeKind::kRecord: return record(node);
      case NodeKind::kArray: {
        py::list made;
        const AvroNode& item = this->node(node.children[0]);
        items("[]", [&] { made.append(take(item)); });
        return made;
      }
      case NodeKind::kMap: {
        py::dict made;
        const AvroNode& value = this->node(node.children[0]);
        items("{}", [&] {
          py::object key = str_of(in_.avro_text());
          made[key] = take(value);
        });
        return made;
      }
      case NodeKind::kConstant: {
        BodyCursor constant(node.bytes);
        return AvroObjects(program_, constant, node.bytes.size()).take(this->node(node.children[0]));
      }
      default: return scalar_object(scalar(node));
    }
  }

  static py::object scalar_object(const AvroValue& value) {
    using Is = AvroValue::Is;
    switch (value.is) {
      case Is::kBoolean: return py::bool_(value.integer != 0);
      case Is::kInteger: return py::int_(value.integer);
      case Is::kReal: return py::float_(value.real);
      case Is::kText: return str_of(value.text);
      case Is::kBytes:
      case Is::kUuid:
      case Is::kDecimal: return py::bytes(value.text.data(), value.text.size());
      default: return py::none();
    }
  }

 private:
  py::object record(const AvroNode& node) {
    py::dict made;
    fields(node, [&](std::size_t field, const AvroNode& of) {
      // What is read over is held in no object.
      const std::string& name = node.names[field];
      py::object value = take(of);
      if (!name.empty()) made[py::str(name)] = std::move(value);
    });
    for (std::size_t at = 0; at < node.constants.size(); ++at) {
      made[py::str(node.names[node.children.size() + at])] = take(this->node(node.constants[at]));
    }
    return made;
  }

  const AvroProgram& program_;
};

/// Makes of JSON what AvroObjects makes of Avro.
class JsonObjects {
 public:
  explicit JsonObjects(const AvroProgram& program) : program_(program) {}

  void scalar(const AvroNode&, const AvroValue& value) { put(AvroObjects::scalar_object(value)); }
  void absent(const AvroNode& constant) {
    BodyCursor bytes(constant.bytes);
    put(AvroObjects(program_, bytes, constant.bytes.size()).take(constant));
  }
  void begin_record(const AvroNode&) { held_.push_back({py::dict(), {}}); }
  void field(const AvroNode& record, std::uint32_t number) { held_.back().key = py::str(record.names[number]); }
  void end_record(const AvroNode&) { end(); }
  void begin_array(const AvroNode&) { held_.push_back({py::list(), {}}); }
  void end_array(const AvroNode&) { end(); }
  int begin_map(const AvroNode&) {
    held_.push_back({py::dict(), {}});
    return 0;
  }
  void entry(const AvroNode&, std::string_view key, const AvroNode&, int) { held_.back().key = str_of(key); }
  void end_map(const AvroNode&) { end(); }

  py::object made;

 private:
  struct Held {
    py::object values, key;
  };

  void end() {
    py::object whole = std::move(held_.back().values);
    held_.pop_back();
    put(whole);
  }
  void put(py::object value) {
    if (held_.empty()) {
      made = std::move(value);
    } else if (py::isinstance<py::list>(held_.back().values)) {
      held_.back().values.cast<py::list>().append(value);
    } else {
      held_.back().values[held_.back().key] = value;
    }
  }

  const AvroProgram& program_;
  std::vector<Held> held_;
};

}  // namespace

py::object object_of_json(const AvroProgram& program, std::string_view body) {
  JsonScratch scratch;
  JsonObjects objects(program);
  JsonReading(program, body, scratch, objects).take();
  return objects.made;
}

py::object str_of(std::string_view text) {
  auto size = static_cast<Py_ssize_t>(text.size());
  PyObject* made = PyUnicode_DecodeUTF8(text.data(), size, nullptr);
  // Names of files may have bytes that are no UTF-8, which Python keeps as lone surrogates.
  for (const char* leniently : {"surrogatepass", "backslashreplace"}) {
    if (made != nullptr || !PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) break;
    PyErr_Clear();
    made = PyUnicode_DecodeUTF8(text.data(), size, leniently);
  }
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::object>(made);
}

AvroProgram program_of(py::handle program) {
  AvroProgram taken;
  for (py::handle node : program.attr("nodes")) taken.nodes.push_back(node_of(node));
  taken.root = part<std::uint32_t>(program, "root");
  check_program(taken);
  return taken;
}

py::object object_of(const AvroProgram& program, BodyCursor& in, std::size_t bytes) {
  return AvroObjects(program, in, bytes).take(program.nodes[program.root]);
}

AvroValue value_of(py::handle value) {
  using Is = AvroValue::Is;
  if (value.is_none()) return {};
  if (PyBool_Check(value.ptr())) return AvroValue::of_integer(value.ptr() == Py_True, Is::kBoolean);
  if (PyLong_Check(value.ptr())) {
    int overflow = 0;
    std::int64_t number = PyLong_AsLongLongAndOverflow(value.ptr(), &overflow);
    return overflow == 0 ? AvroValue::of_integer(number) : AvroValue{Is::kOther, 0, 0, {}};
  }
  if (PyFloat_Check(value.ptr())) return AvroValue::of_real(PyFloat_AS_DOUBLE(value.ptr()));
  if (PyBytes_Check(value.ptr())) return AvroValue::of_text(bytes_of(value), Is::kBytes);
  if (PyUnicode_Check(value.ptr())) {
    Py_ssize_t size = 0;
    const char* utf8 = PyUnicode_AsUTF8AndSize(value.ptr(), &size);
    if (utf8 != nullptr) return AvroValue::of_text({utf8, static_cast<std::size_t>(size)});
    PyErr_Clear();
  }
  return {Is::kOther, 0, 0, {}};
}

}  // namespace user_state
