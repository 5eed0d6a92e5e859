// Joining and packing are done without the interpreter's lock: the views are of `bytes`, which do not change, and which are kept.
#include "bindings/held_batch.hpp"

#include <pybind11/stl.h>

#include <numeric>
#include <utility>

#include "bindings/from_python.hpp"
#include "bindings/message_list.hpp"
#include "codec/xxh64.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

py::list strs_of(const std::vector<std::string_view>& texts) {
  py::list made(texts.size());
  for (std::size_t at = 0; at < texts.size(); ++at) made[at] = str_of(texts[at]);
  return made;
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

void define_held_batch(py::module_& module) {
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
}

}  // namespace user_state
