// What is long is done without the interpreter's lock: decoding, joining and packing. The views that it works on are of
// `bytes`, which do not change, and which the objects here keep.
#include "bindings/event_batches.hpp"

#include <pybind11/stl.h>

#include <cmath>
#include <memory>
#include <numeric>
#include <optional>

#include "bindings/avro_programs.hpp"
#include "bindings/from_python.hpp"
#include "codec/xxh64.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

constexpr const char* kDamaged = "expected a packed batch of events of this plan, got other or damaged bytes";
/// Names of files may have bytes that are no UTF-8, which Python keeps as lone surrogates.
constexpr const char* kLenient = "surrogatepass";

[[noreturn]] void refuse_damaged() {
  py::set_error(py::module_::import("user_state.errors").attr("CodecError"), kDamaged);
  throw py::error_already_set();
}

/// (reason, detail) of Python's as what is thrown for it.
Refused refused_of(const py::tuple& words) {
  auto reason = words[0].cast<std::string>();
  return {reason == "invalid" ? "invalid" : "undecodable", words[1].cast<std::string>()};
}

struct AtIndex {
  std::size_t index;
  Refused refused;
};

py::list strs_of(const std::vector<std::string_view>& texts) {
  py::list made(texts.size());
  for (std::size_t at = 0; at < texts.size(); ++at) made[at] = str_of(texts[at]);
  return made;
}

/// (data, attributes, publish_us, ack_id, origin)
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

EventDecoder::Check check_of(const std::string& name) {
  using Check = EventDecoder::Check;
  constexpr std::pair<std::string_view, Check> kNames[] = {
      {"user", Check::kUser}, {"id", Check::kId},     {"time", Check::kTime}, {"published", Check::kPublished},
      {"text", Check::kText}, {"item", Check::kItem}, {"float", Check::kFloat}, {"int", Check::kInt}};
  for (const auto& [known, check] : kNames) {
    if (name == known) return check;
  }
  throw py::value_error("unknown check: " + name);
}

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

EventDecoder::Writer writer_of(py::handle writer) {
  return {writer.attr("head").cast<std::string>(), writer.attr("name").cast<std::string>(),
          program_of(writer.attr("program")), writer.attr("is_json").cast<bool>()};
}

EventDecoder::Framing framing_of(const std::string& name) {
  using Framing = EventDecoder::Framing;
  constexpr std::pair<std::string_view, Framing> kNames[] = {{"raw", Framing::kRaw},
                                                             {"single_object", Framing::kSingleObject},
                                                             {"confluent", Framing::kConfluent},
                                                             {"json", Framing::kJson},
                                                             {"", Framing::kNone}};
  for (const auto& [known, framing] : kNames) {
    if (name == known) return framing;
  }
  throw py::value_error("unknown framing: " + name);
}

EventDecoder decoder_of(const py::iterable& places, const py::iterable& writers, py::handle limits, std::string known,
                        const std::string& framing) {
  std::vector<EventDecoder::Place> taken;
  for (py::handle place : places) {
    auto [name, check, is_list] = place.cast<std::tuple<std::string, std::string, bool>>();
    taken.push_back({name, check_of(check), is_list});
  }
  std::vector<EventDecoder::Writer> written;
  for (py::handle writer : writers) written.push_back(writer_of(writer));
  auto number = [&](const char* name) { return limits.attr(name).cast<std::int64_t>(); };
  EventDecoder::Limits held{static_cast<std::size_t>(number("id_bytes")), static_cast<std::size_t>(number("text_bytes")),
                            number("first_us"),                            number("end_us"),
                            number("time_unit_ns"),                        number("published_unit_ns")};
  return {std::move(taken), std::move(written), held, std::move(known), framing_of(framing)};
}

template <class T>
py::array_t<T> view_of(const std::vector<T>& numbers, const py::object& owner) {
  return py::array_t<T>(static_cast<py::ssize_t>(numbers.size()), numbers.data(), owner);
}

py::bytes bytes_of_buffer(const Buffer& buffer) { return py::bytes(buffer.data(), buffer.size()); }

EventBatch::Shape shape_of(char kind) {
  bool is_list = kind >= 'A' && kind <= 'Z';
  char of_value = is_list ? static_cast<char>(kind - 'A' + 'a') : kind;
  return {of_value == 's' ? Kind::kString : of_value == 'f' ? Kind::kFloat : Kind::kInt, is_list};
}

/// One value of a column as Python has it.
py::object value_in(const EventBatch& batch, const EventBatch::Field& field, std::size_t at) {
  if (field.shape.kind == Kind::kFloat) {
    return std::isnan(field.doubles[at]) ? py::object(py::none()) : py::float_(field.doubles[at]);
  }
  std::int64_t integer = field.integers[at];
  if (field.shape.kind == Kind::kString) return integer == kNullCode ? py::object(py::none()) : str_of(batch.texts[integer]);
  return integer == kNullInt ? py::object(py::none()) : py::int_(integer);
}

/// Takes values that Python has read, one a place, which have to outlive this.
void take_values(const EventDecoder& decoder, const py::list& values, AvroValues& taken) {
  if (values.size() != decoder.places()) throw py::value_error("expected one value a place");
  taken.clear();
  for (std::size_t place = 0; place < decoder.places(); ++place) {
    py::object value = values[place];
    if (!PyList_Check(value.ptr())) {
      taken.at[place] = value_of(value);
      continue;
    }
    taken.at[place].is = AvroValue::Is::kList;
    for (py::handle item : value) {
      if (!item.is_none()) taken.lists[place].push_back(value_of(item));
    }
  }
}

py::tuple words_of(const Refused& refused) { return py::make_tuple(refused.reason, str_of(refused.detail)); }

/// The rows of each group, in order of their first coming.
template <class GroupOf>
std::vector<std::pair<std::uint64_t, std::vector<std::uint32_t>>> grouped(const std::vector<std::uint32_t>& rows,
                                                                          std::size_t groups, GroupOf group_of) {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::vector<std::size_t> place_of(groups, kNone);
  std::vector<std::pair<std::uint64_t, std::vector<std::uint32_t>>> made;
  for (std::uint32_t row : rows) {
    std::uint64_t group = group_of(row);
    if (place_of[group] == kNone) {
      place_of[group] = made.size();
      made.push_back({group, {}});
    }
    made[place_of[group]].second.push_back(row);
  }
  return made;
}

}  // namespace

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

std::unique_ptr<HeldBatch> HeldBatch::join(py::handle plan, const py::iterable& packed) {
  std::vector<EventBatch::Shape> taken;
  auto kinds = plan.attr("kinds").cast<std::string>();
  for (char kind : kinds) taken.push_back(shape_of(kind));
  auto made = std::make_unique<HeldBatch>(taken);
  std::vector<std::string_view> views;
  for (py::handle one : packed) {
    made->kept.push_back(py::reinterpret_borrow<py::object>(one));
    views.push_back(bytes_of(one));
  }
  bool damaged = false;
  {
    py::gil_scoped_release unlocked;
    try {
      for (std::string_view one : views) made->batch.append(one);
    } catch (const Corrupt&) {
      damaged = true;
    }
  }
  if (damaged) refuse_damaged();
  return made;
}

py::tuple HeldBatch::columns(const py::object& self) {
  const EventBatch& batch = self.cast<const HeldBatch&>().batch;
  py::tuple columns(batch.fields.size());
  for (std::size_t at = 0; at < batch.fields.size(); ++at) {
    const EventBatch::Field& field = batch.fields[at];
    py::object values = field.shape.kind == Kind::kFloat ? py::object(view_of(field.doubles, self))
                                                         : py::object(view_of(field.integers, self));
    columns[at] = field.shape.is_list ? py::object(py::make_tuple(view_of(field.ends, self), values)) : values;
  }
  py::dict code_of;
  for (std::size_t code = 0; code < batch.texts.size(); ++code) {
    code_of[str_of(batch.texts[static_cast<std::int64_t>(code)])] = py::int_(code);
  }
  return py::make_tuple(strs_of(batch.users.texts()), view_of(batch.user, self), view_of(batch.id_hash, self),
                        view_of(batch.time_us, self), view_of(batch.published_us, self), columns, code_of);
}

py::list HeldBatch::users() const { return strs_of(batch.users.texts()); }

py::object HeldBatch::user_of(std::size_t row) const {
  if (row >= size()) throw py::index_error("no such event");
  return str_of(batch.users[batch.user[row]]);
}

py::tuple HeldBatch::message(std::size_t row) const {
  if (row >= size()) throw py::index_error("no such event");
  return tuple_of(batch.messages[row]);
}

std::vector<std::uint32_t> HeldBatch::rows_of(const py::object& rows) const {
  std::vector<py::object> held;
  std::vector<std::uint32_t> taken;
  if (rows.is_none()) {
    taken.resize(size());
    std::iota(taken.begin(), taken.end(), 0u);
    return taken;
  }
  for (std::int64_t row : column_of<std::int64_t>(rows, held)) {
    if (static_cast<std::uint64_t>(row) >= size()) throw py::index_error("no such event");
    taken.push_back(static_cast<std::uint32_t>(row));
  }
  return taken;
}

py::bytes HeldBatch::pack(const py::object& rows) const {
  std::vector<std::uint32_t> taken = rows_of(rows);
  Buffer packed;
  {
    py::gil_scoped_release unlocked;
    batch.pack(taken, packed);
  }
  return bytes_of_buffer(packed);
}

py::list HeldBatch::pack_by_shard(const py::object& rows, std::uint64_t shards) const {
  if (shards == 0) throw py::value_error("expected at least one shard");
  std::vector<std::uint32_t> taken = rows_of(rows);
  std::vector<std::pair<std::uint64_t, Buffer>> packed;
  {
    py::gil_scoped_release unlocked;
    std::vector<std::uint64_t> shard_of;
    for (std::string_view user : batch.users.texts()) shard_of.push_back(xxh64(user, 0) % shards);
    auto of_row = [&](std::uint32_t row) { return shard_of[static_cast<std::size_t>(batch.user[row])]; };
    for (const auto& [shard, mine] : grouped(taken, shards, of_row)) {
      batch.pack(mine, packed.emplace_back(shard, Buffer()).second);
    }
  }
  py::list made;
  for (const auto& [shard, bytes] : packed) made.append(py::make_tuple(shard, bytes_of_buffer(bytes)));
  return made;
}

py::list HeldBatch::pack_by_user(const py::object& rows) const {
  auto of_row = [&](std::uint32_t row) { return static_cast<std::uint64_t>(batch.user[row]); };
  py::list made;
  for (const auto& [user, mine] : grouped(rows_of(rows), batch.users.size(), of_row)) {
    Buffer packed;
    batch.pack(mine, packed);
    made.append(py::make_tuple(str_of(batch.users[static_cast<std::int64_t>(user)]), bytes_of_buffer(packed)));
  }
  return made;
}

py::dict HeldBatch::ack_ids(const py::object& rows) const {
  py::dict made;
  std::string_view last;
  py::list ids;
  for (std::uint32_t row : rows_of(rows)) {
    const Message& message = batch.messages[row];
    if (!message.has_ack_id) continue;
    if (made.empty() || message.origin != last) {
      last = message.origin;
      py::object origin = str_of(last);
      if (!made.contains(origin)) made[origin] = py::list();
      ids = made[origin];
    }
    ids.append(str_of(message.ack_id));
  }
  return made;
}

py::array_t<bool> HeldBatch::has_ack_id() const {
  py::array_t<bool> made(static_cast<py::ssize_t>(size()));
  for (std::size_t row = 0; row < size(); ++row) made.mutable_at(static_cast<py::ssize_t>(row)) = batch.messages[row].has_ack_id;
  return made;
}

DecodingEvents::DecodingEvents(const py::iterable& places, const py::iterable& writers, py::handle limits, std::string known,
                               const std::string& framing)
    : decoder_(decoder_of(places, writers, limits, std::move(known), framing)) {}

py::tuple DecodingEvents::decode(const py::object& self, const py::object& messages, const py::object& values) {
  const EventDecoder& decoder = self.cast<const DecodingEvents&>().decoder_;
  const auto& listed = messages.cast<const MessageList&>().messages();
  auto made = std::make_unique<HeldBatch>(decoder.shapes());
  made->kept = {self, messages};
  std::vector<AtIndex> refused;
  EventDecoder::Scratch scratch(decoder.places());
  if (values.is_none()) {
    py::gil_scoped_release unlocked;
    for (std::size_t at = 0; at < listed.size(); ++at) {
      try {
        decoder.decode(listed[at], made->batch, scratch);
      } catch (const Refused& words) {
        refused.push_back({at, words});
      }
    }
  } else {
    auto given = values.cast<py::list>();
    if (given.size() != listed.size()) throw py::value_error("expected as many values as messages");
    made->kept.push_back(given);
    for (std::size_t at = 0; at < listed.size(); ++at) {
      try {
        scratch.copies = false;
        if (py::isinstance<py::list>(given[at])) {
          take_values(decoder, given[at], scratch.values);
          decoder.add(listed[at], made->batch, scratch);
        } else if (given[at].is_none()) {
          decoder.decode(listed[at], made->batch, scratch);
        } else {
          // One at a time, and nothing of it is kept but what the batch has: together they may be of any size.
          py::object body = given[at]();
          if (py::isinstance<py::tuple>(body)) throw refused_of(body);
          scratch.copies = true;
          decoder.decode(listed[at], {}, bytes_of(body), made->batch, scratch);
        }
      } catch (const Refused& words) {
        refused.push_back({at, words});
      }
    }
  }
  py::list told;
  for (const AtIndex& one : refused) told.append(py::make_tuple(one.index, one.refused.reason, str_of(one.refused.detail)));
  return py::make_tuple(py::cast(std::move(made)), told);
}

py::object DecodingEvents::event(const py::bytes& data) const {
  std::string_view body = bytes_of(data);
  try {
    const EventDecoder::Writer& writer = decoder_.writer_of({}, body);
    BodyCursor in(body);
    try {
      if (writer.is_json) return object_of_json(writer.program, body);
      py::object made = object_of(writer.program, in, body.size());
      if (in.left() > 0) throw decoder_.instead_of(EventDecoder::left_over(writer, body.size(), in.left()), {}, bytes_of(data));
      return made;
    } catch (const Unreadable& unreadable) {
      throw decoder_.instead_of(EventDecoder::undecodable(writer, body.size(), unreadable), {}, bytes_of(data));
    }
  } catch (const Refused& refused) {
    return words_of(refused);
  }
}

py::tuple DecodingEvents::row(const py::list& values, const py::object& publish_us) const {
  Message message;
  if (!publish_us.is_none()) message.publish_us = publish_us.cast<std::int64_t>();
  EventDecoder::Scratch scratch(decoder_.places());
  take_values(decoder_, values, scratch.values);
  return row_made([&](EventBatch& batch) { decoder_.add(message, batch, scratch); });
}

py::tuple DecodingEvents::row_of_body(const py::bytes& data, const py::object& publish_us) const {
  Message message;
  message.body = bytes_of(data);
  if (!publish_us.is_none()) message.publish_us = publish_us.cast<std::int64_t>();
  EventDecoder::Scratch scratch(decoder_.places());
  return row_made([&](EventBatch& batch) { decoder_.decode(message, batch, scratch); });
}

py::tuple DecodingEvents::row_made(const std::function<void(EventBatch&)>& add) const {
  EventBatch batch(decoder_.shapes());
  try {
    add(batch);
  } catch (const Refused& refused) {
    return py::make_tuple(py::none(), words_of(refused));
  }
  py::tuple row(decoder_.places());
  row[0] = str_of(batch.users[0]);
  row[1] = py::int_(batch.id_hash[0]);
  row[2] = py::int_(batch.time_us[0]);
  row[3] = py::int_(batch.published_us[0]);
  for (std::size_t at = 0; at < batch.fields.size(); ++at) {
    const EventBatch::Field& field = batch.fields[at];
    if (!field.shape.is_list) {
      row[4 + at] = value_in(batch, field, 0);
      continue;
    }
    py::list listed;
    for (std::size_t item = 0; item < field.size(); ++item) listed.append(value_in(batch, field, item));
    row[4 + at] = listed;
  }
  return py::make_tuple(row, py::none());
}

void define_event_batches(py::module_& module) {
  py::class_<FileLayout>(module, "FileLayout").def(py::init(&file_layout_of), py::arg("program"), py::arg("roles"));
  py::class_<MessageList>(module, "MessageList")
      .def_static("of_messages", &MessageList::of_messages, py::arg("messages"))
      .def_static("of_blocks", &MessageList::of_blocks, py::arg("blocks"), py::arg("layout"), py::arg("head"), py::arg("origin"))
      .def_static("chosen", &MessageList::chosen, py::arg("lists"), py::arg("which"), py::arg("rows"))
      .def("__len__", &MessageList::size)
      .def("attributes_but", &MessageList::attributes_but, py::arg("names"))
      .def("message", &MessageList::message, py::arg("at"));
  py::class_<HeldBatch>(module, "EventBatch")
      .def_static("join", &HeldBatch::join, py::arg("plan"), py::arg("packed"))
      .def("__len__", &HeldBatch::size)
      .def_property_readonly("users", &HeldBatch::users)
      .def_property_readonly("user", [](const py::object& self) { return view_of(self.cast<const HeldBatch&>().batch.user, self); })
      .def_property_readonly("time_us", [](const py::object& self) { return view_of(self.cast<const HeldBatch&>().batch.time_us, self); })
      .def_property_readonly("published_us", [](const py::object& self) { return view_of(self.cast<const HeldBatch&>().batch.published_us, self); })
      .def("user_of", &HeldBatch::user_of, py::arg("row"))
      .def("columns", [](const py::object& self) { return HeldBatch::columns(self); })
      .def("message", &HeldBatch::message, py::arg("row"))
      .def("pack", &HeldBatch::pack, py::arg("rows") = py::none())
      .def("pack_by_shard", &HeldBatch::pack_by_shard, py::arg("rows"), py::arg("shards"))
      .def("pack_by_user", &HeldBatch::pack_by_user, py::arg("rows") = py::none())
      .def("ack_ids", &HeldBatch::ack_ids, py::arg("rows"))
      .def("has_ack_id", &HeldBatch::has_ack_id);
  py::class_<DecodingEvents>(module, "EventDecoder")
      .def(py::init<py::iterable, py::iterable, py::handle, std::string, std::string>(), py::arg("places"), py::arg("writers"),
           py::arg("limits"), py::arg("known"), py::arg("framing") = "raw")
      .def("decode",
           [](const py::object& self, const py::object& messages, const py::object& values) {
             return DecodingEvents::decode(self, messages, values);
           },
           py::arg("messages"), py::arg("values"))
      .def("event", &DecodingEvents::event, py::arg("body"))
      .def("row", &DecodingEvents::row, py::arg("values"), py::arg("publish_us"))
      .def("row_of_body", &DecodingEvents::row_of_body, py::arg("body"), py::arg("publish_us"));
}

}  // namespace user_state
