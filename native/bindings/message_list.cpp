// Blocks are taken apart without the interpreter's lock: the views are of `bytes`, which do not change, and which are kept.
#include "bindings/message_list.hpp"

#include <pybind11/stl.h>

#include <cstring>
#include <optional>

#include "bindings/avro_programs.hpp"
#include "bindings/from_python.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

constexpr const char* kDamaged = "expected a packed batch of events of this plan, got other or damaged bytes";
/// Names of files may have bytes that are no UTF-8, which Python keeps as lone surrogates.
constexpr const char* kLenient = "surrogatepass";

FileLayout file_layout_of(py::handle program, const py::iterable& roles) {
  constexpr std::pair<std::string_view, FileLayout::Role> kRoles[] = {{"", FileLayout::Role::kOther},
                                                                      {"body", FileLayout::Role::kBody},
                                                                      {"attributes", FileLayout::Role::kAttributes},
                                                                      {"publish_time", FileLayout::Role::kPublishTime}};
  std::vector<FileLayout::Role> taken;
  for (py::handle role : roles) {
    auto name = role.cast<std::string>();
    for (const auto& [known, kind] : kRoles) {
      if (name == known) taken.push_back(kind);
    }
  }
  return {program_of(program), std::move(taken)};
}

}  // namespace

void refuse_damaged() {
  py::set_error(py::module_::import("user_state.errors").attr("CodecError"), kDamaged);
  throw py::error_already_set();
}

py::tuple tuple_of(const Message& message) {
  py::object data = py::reinterpret_steal<py::object>(
      PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(message.head.size() + message.body.size())));
  if (!data) throw py::error_already_set();
  char* to = PyBytes_AS_STRING(data.ptr());
  if (!message.head.empty()) std::memcpy(to, message.head.data(), message.head.size());
  if (!message.body.empty()) std::memcpy(to + message.head.size(), message.body.data(), message.body.size());
  py::dict attributes;
  if (!message.attributes.empty()) {
    try {
      BodyCursor in(message.attributes);
      take_map(in, [&](std::string_view name, std::string_view value) { attributes[str_of(name)] = str_of(value); });
    } catch (const Unreadable&) {
      refuse_damaged();
    }
  }
  py::object publish_us = py::none(), ack_id = py::none();
  if (message.publish_us != kNullInt) publish_us = py::int_(message.publish_us);
  if (message.has_ack_id) ack_id = str_of(message.ack_id);
  return py::make_tuple(data, attributes, publish_us, ack_id, str_of(message.origin));
}

std::string_view MessageList::text_of(py::handle text) {
  Py_ssize_t size = 0;
  const char* utf8 = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (utf8 != nullptr) return {utf8, static_cast<std::size_t>(size)};
  if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) throw py::error_already_set();
  PyErr_Clear();
  auto encoded = py::reinterpret_steal<py::object>(PyUnicode_AsEncodedString(text.ptr(), "utf-8", kLenient));
  if (!encoded) throw py::error_already_set();
  kept_.push_back(encoded);
  return bytes_of(encoded);
}

std::string_view MessageList::attributes_of(py::handle attributes) {
  if (PyDict_Check(attributes.ptr()) && PyDict_GET_SIZE(attributes.ptr()) == 0) return {};
  auto held = attributes.cast<py::dict>();
  Buffer buffer;
  Writer out(buffer);
  out.avro_long(static_cast<std::int64_t>(held.size()));
  for (auto [name, value] : held) {
    for (py::handle text : {name, value}) {
      std::string_view utf8 = text_of(text);
      out.avro_long(static_cast<std::int64_t>(utf8.size()));
      out.bytes(utf8);
    }
  }
  out.avro_long(0);
  return made_.emplace_back(buffer.view());
}

MessageList MessageList::of_messages(const py::iterable& messages) {
  MessageList made;
  constexpr std::size_t kFields = 5;
  PyObject* last_origin = nullptr;
  std::string_view origin;
  auto listed = py::reinterpret_steal<py::tuple>(PySequence_Tuple(messages.ptr()));
  if (!listed) throw py::error_already_set();
  made.kept_.push_back(listed);
  made.messages_.reserve(listed.size());
  for (py::handle message : listed) {
    if (!PyTuple_Check(message.ptr()) || PyTuple_GET_SIZE(message.ptr()) < static_cast<Py_ssize_t>(kFields)) {
      throw py::type_error("expected messages");
    }
    auto part = [&](Py_ssize_t at) { return py::handle(PyTuple_GET_ITEM(message.ptr(), at)); };
    Message& taken = made.messages_.emplace_back();
    taken.body = bytes_of(part(0));
    taken.attributes = made.attributes_of(part(1));
    if (!part(2).is_none()) taken.publish_us = part(2).cast<std::int64_t>();
    if (!part(3).is_none()) {
      taken.ack_id = made.text_of(part(3));
      taken.has_ack_id = true;
    }
    if (part(4).ptr() != last_origin) {
      last_origin = part(4).ptr();
      origin = made.text_of(part(4));
    }
    taken.origin = origin;
  }
  return made;
}

MessageList MessageList::of_blocks(const py::iterable& blocks, const FileLayout& layout, const py::bytes& head,
                                   const py::str& origin) {
  MessageList made;
  made.kept_.push_back(head);
  made.kept_.push_back(origin);
  std::string_view head_bytes = bytes_of(head), origin_text = made.text_of(origin);
  for (py::handle block : blocks) {
    auto [held, count] = block.cast<std::pair<py::bytes, std::uint64_t>>();
    made.kept_.push_back(held);
    std::string_view bytes = bytes_of(made.kept_.back());
    std::optional<std::string> why;
    {
      py::gil_scoped_release unlocked;
      try {
        take_block(bytes, count, layout, head_bytes, origin_text, made.messages_);
      } catch (const Unreadable& unreadable) {
        why = unreadable.why;
      }
    }
    if (why) throw py::value_error(*why);
  }
  return made;
}

MessageList MessageList::chosen(const py::sequence& lists, const Indices& which, const Indices& rows) {
  MessageList made;
  std::vector<const std::vector<Message>*> held;
  for (py::handle one : lists) {
    held.push_back(&one.cast<const MessageList&>().messages_);
    made.kept_.push_back(py::reinterpret_borrow<py::object>(one));
  }
  if (which.size() != rows.size()) throw py::value_error("expected as many rows as lists that they are of");
  made.messages_.reserve(static_cast<std::size_t>(rows.size()));
  // A negative index becomes one that no list has.
  auto in = [](std::int64_t index) { return static_cast<std::size_t>(index); };
  for (py::ssize_t at = 0; at < rows.size(); ++at) {
    std::size_t list = in(which.data()[at]), row = in(rows.data()[at]);
    if (list >= held.size() || row >= held[list]->size()) throw py::index_error("no such message");
    made.messages_.push_back((*held[list])[row]);
  }
  return made;
}

py::list MessageList::attributes_but(const std::map<std::string, std::set<std::string>>& names) const {
  py::list found;
  std::string lower;
  for (std::size_t at = 0; at < messages_.size(); ++at) {
    if (messages_[at].attributes.empty()) [[likely]] continue;
    try {
      BodyCursor in(messages_[at].attributes);
      take_map(in, [&](std::string_view name, std::string_view value) {
        lower.assign(name);
        for (char& letter : lower) {
          if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
        }
        auto asked = names.find(lower);
        if (asked == names.end() || asked->second.contains(std::string(value))) return;
        found.append(py::make_tuple(at, py::str(lower), str_of(value)));
      });
    } catch (const Unreadable&) {
      refuse_damaged();
    }
  }
  return found;
}

py::tuple MessageList::message(std::size_t at) const {
  if (at >= messages_.size()) throw py::index_error("no such message");
  return tuple_of(messages_[at]);
}

void define_message_list(py::module_& module) {
  py::class_<FileLayout>(module, "FileLayout").def(py::init(&file_layout_of), py::arg("program"), py::arg("roles"));
  py::class_<MessageList>(module, "MessageList")
      .def_static("of_messages", &MessageList::of_messages, py::arg("messages"))
      .def_static("of_blocks", &MessageList::of_blocks, py::arg("blocks"), py::arg("layout"), py::arg("head"), py::arg("origin"))
      .def_static("chosen", &MessageList::chosen, py::arg("lists"), py::arg("which"), py::arg("rows"))
      .def("__len__", &MessageList::size)
      .def("attributes_but", &MessageList::attributes_but, py::arg("names"))
      .def("message", &MessageList::message, py::arg("at"));
}

}  // namespace user_state
