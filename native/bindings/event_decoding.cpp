// Bodies are decoded without the interpreter's lock, but for those that Python has to unpack or read.
#include "bindings/event_decoding.hpp"

#include <pybind11/stl.h>

#include <cmath>
#include <memory>
#include <utility>

#include "bindings/avro_programs.hpp"
#include "bindings/from_python.hpp"
#include "bindings/held_batch.hpp"
#include "bindings/message_list.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

/// (reason, detail) of Python's as what is thrown for it.
Refused refused_of(const py::tuple& words) {
  auto reason = words[0].cast<std::string>();
  return {reason == "invalid" ? "invalid" : "undecodable", words[1].cast<std::string>()};
}

struct AtIndex {
  std::size_t index;
  Refused refused;
};

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
    auto [name, check, is_list, is_one_text] = place.cast<std::tuple<std::string, std::string, bool, bool>>();
    taken.push_back({name, check_of(check), is_list, is_one_text});
  }
  std::vector<EventDecoder::Writer> written;
  for (py::handle writer : writers) written.push_back(writer_of(writer));
  auto number = [&](const char* name) { return limits.attr(name).cast<std::int64_t>(); };
  EventDecoder::Limits held{static_cast<std::size_t>(number("id_bytes")), static_cast<std::size_t>(number("text_bytes")),
                            static_cast<std::size_t>(number("list_values")),
                            number("first_us"),                            number("end_us"),
                            number("time_unit_ns"),                        number("published_unit_ns")};
  return {std::move(taken), std::move(written), held, std::move(known), framing_of(framing)};
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

}  // namespace

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

void define_event_decoding(py::module_& module) {
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
