#include "bindings/folding.hpp"

#include <pybind11/stl.h>

#include <optional>

#include "bindings/calling.hpp"
#include "bindings/from_python.hpp"
#include "codec/crc32c.hpp"
#include "codec/dictionary.hpp"
#include "record/bundle_folder.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

/// How many bytes of records are made before they are handed to Python.
constexpr std::size_t kHandedOver = std::size_t{1} << 20;
/// Of chance in a version.
constexpr std::size_t kChanceBytes = 4;

void check_versions(const Blobs& versions, std::size_t records) {
  if (versions.size() != records) throw py::value_error("expected a version for each record");
}

/// The version of a record that is to be made.
std::string_view version_of(const Blobs& versions, std::size_t record) {
  if (versions[record].size() != kNameBytes) throw std::invalid_argument("expected versions of 8 bytes");
  return versions[record];
}

/// Calls `make(record, out)` for every record, without Python's lock; it says whether it made one.
template <class Make>
py::tuple made_by(std::size_t records, Make make) {
  struct Piece {
    std::size_t record, begin;
  };
  py::list made(records);
  for (std::size_t at = 0; at < records; ++at) made[at] = py::none();
  std::vector<Wrong> wrong;
  std::vector<Piece> pieces;
  Buffer out;
  for (std::size_t at = 0; at < records;) {
    pieces.clear();
    out.clear();
    without_gil([&] {
      for (; at < records && out.size() < kHandedOver; ++at) {
        std::size_t begin = out.size();
        try {
          if (make(at, out)) pieces.push_back({at, begin});
        } catch (RecordError& error) {
          wrong.push_back({at, std::move(error)});
        }
      }
    });
    for (std::size_t piece = 0; piece < pieces.size(); ++piece) {
      std::size_t begin = pieces[piece].begin, end = piece + 1 < pieces.size() ? pieces[piece + 1].begin : out.size();
      made[pieces[piece].record] = py::bytes(out.data() + begin, end - begin);
    }
  }
  return py::make_tuple(made, listed(wrong));
}

/// Returns ((4, n) clock, last event, horizon and number of applied events of n records of any layout, what is wrong).
py::tuple heads(const py::sequence& sequence) {
  Blobs blobs(sequence);
  py::array_t<std::int64_t> heads({std::tuple_size_v<decltype(Envelope::longs)>, blobs.size()});
  auto into = heads.mutable_unchecked<2>();
  std::vector<Wrong> wrong;
  for (std::size_t at = 0; at < blobs.size(); ++at) {
    decltype(Envelope::longs) longs{};
    try {
      if (blobs[at].data() != nullptr) longs = open_record(blobs[at]).longs;
    } catch (RecordError& error) {
      wrong.push_back({at, std::move(error)});
    }
    for (std::size_t of = 0; of < longs.size(); ++of) into(of, at) = longs[of];
  }
  return py::make_tuple(heads, listed(wrong));
}

}  // namespace

py::list listed(const std::vector<Wrong>& wrong) {
  py::list made;
  for (const Wrong& one : wrong) {
    const std::string& text = one.error.text;
    bool named = one.error.kind == RecordError::Kind::kUnknownLayout;
    made.append(py::make_tuple(one.record, static_cast<int>(one.error.kind),
                               named ? py::object(py::bytes(text)) : py::object(py::str(text))));
  }
  return made;
}

Folding::Folding(py::handle plan)
    : rules_{plan_of(plan), layout_of(plan.attr("layout")), plan.attr("seen_ids_cap").cast<std::int64_t>(),
             plan.attr("max_record_bytes").cast<std::size_t>()} {}

void Folding::add_layout(py::handle described) {
  Layout layout = layout_of(described);
  // A copy: calls that are under way go on with what was known as they began.
  auto more = std::make_shared<OtherLayouts>(*others_);
  more->emplace(layout.fingerprint, std::make_shared<OtherLayout>(rules_, layout));
  others_ = std::move(more);
}

std::unique_ptr<Folder> Folding::borrow() {
  std::unique_ptr<Folder> folder;
  if (idle_.empty()) {
    folder = std::make_unique<Folder>(rules_);
  } else {
    folder = std::move(idle_.back());
    idle_.pop_back();
  }
  folder->set_layouts(others_);
  return folder;
}

void Folding::give_back(std::unique_ptr<Folder> folder) { idle_.push_back(std::move(folder)); }

py::tuple Folding::fold_bundle(py::handle batch, const py::array_t<std::int64_t>& users, const py::sequence& records,
                               const py::sequence& ids, const std::vector<std::size_t>& ids_lost,
                               const std::vector<std::size_t>& due, const py::bytes& chance, bool counts_events,
                               const py::array_t<std::int8_t, py::array::c_style>& outcome,
                               std::optional<std::int64_t> retention_us) {
  EventsOfPython taken(rules_.plan, batch);
  const Columns& columns = taken.columns;
  check_arrivals(columns);
  std::vector<py::object> kept;
  auto chosen = column_of<std::int64_t>(users, kept);
  Blobs held(records), held_ids(ids);
  std::string_view chances = bytes_of(chance);
  std::size_t count = chosen.size();
  if (held.size() != count || held_ids.size() != count) throw py::value_error("expected a record and ids for each user");
  if (chances.size() != kChanceBytes * count) throw py::value_error("expected 4 bytes of chance for each user");
  for (std::int64_t user : chosen) {
    if (static_cast<std::uint64_t>(user) >= columns.users) throw py::value_error("expected users of the events");
  }
  std::vector<StoredUser> stored(count);
  for (std::size_t at = 0; at < count; ++at) {
    stored[at].record = held[at];
    if (held_ids[at].data() != nullptr) stored[at].ids = held_ids[at];
  }
  for (std::size_t at : ids_lost) stored.at(at).ids_lost = true;
  for (std::size_t at : due) stored.at(at).is_due = true;
  if (outcome.ndim() != 1 || static_cast<std::size_t>(outcome.size()) != columns.user.size()) {
    throw py::value_error("expected a place for the outcome of each event");
  }
  py::array_t<std::int8_t, py::array::c_style> into = outcome;
  auto* outcomes = reinterpret_cast<Outcome*>(into.mutable_data());
  py::array_t<std::int64_t> last_event(static_cast<py::ssize_t>(count));
  std::int64_t* last_event_us = last_event.mutable_data();
  const Plan& plan = rules_.plan;
  const BundleFolder::Rules rules{{plan.allowed_lateness_us, plan.max_clock_skew_us, rules_.seen_ids_cap},
                                  rules_.most_bytes, counts_events,
                                  retention_us ? std::optional(Forgetting{*retention_us, 0}) : std::nullopt};
  Borrowed folder(*this);
  std::optional<Events> events;
  std::optional<BundleFolder> bundle;
  py::list made(count), made_ids(count), shortened;
  std::vector<FoldedUser> folded;
  std::vector<Wrong> wrong;
  Buffer out;
  for (std::size_t next = 0; next < count;) {
    std::size_t begin = next;
    folded.clear();
    out.clear();
    without_gil([&] {
      if (!bundle) {
        events.emplace(plan, columns);
        bundle.emplace(rules, *folder, *events, Admission::Arrived{columns.id_hash, columns.time_us, columns.published_us});
      }
      for (; next < count && out.size() < kHandedOver; ++next) {
        auto user = static_cast<std::size_t>(chosen[next]);
        std::string_view mine = chances.substr(kChanceBytes * next, kChanceBytes);
        folded.push_back(bundle->fold(user, stored[next], mine, outcomes, out));
      }
    });
    const char* from = out.data();
    auto take = [&from](std::size_t bytes) -> py::object {
      if (bytes == 0) return py::none();
      from += bytes;
      return py::bytes(from - bytes, bytes);
    };
    for (std::size_t at = begin; at < next; ++at) {
      FoldedUser& user = folded[at - begin];
      made[at] = take(user.record_bytes);
      made_ids[at] = take(user.ids_bytes);
      last_event_us[at] = user.last_event_us;
      if (user.is_shortened) shortened.append(at);
      if (user.error) wrong.push_back({at, std::move(*user.error)});
    }
  }
  return py::make_tuple(made, made_ids, last_event, shortened, listed(wrong));
}

py::tuple Folding::fold(const py::sequence& blobs, py::handle batch, const py::array_t<std::int64_t>& horizon_us,
                        const py::sequence& versions) {
  Blobs held(blobs), new_versions(versions);
  EventsOfPython taken(rules_.plan, batch);
  Events events(rules_.plan, taken.columns);
  std::vector<py::object> kept;
  auto horizons_us = column_of<std::int64_t>(horizon_us, kept);
  if (held.size() != events.users() || horizons_us.size() != events.users()) {
    throw py::value_error("expected a record and a horizon for each user of the events");
  }
  check_versions(new_versions, held.size());
  Borrowed folder(*this);
  folder->begin(events);
  return made_by(held.size(), [&](std::size_t at, Buffer& out) {
    auto rows = events.rows_of(at);
    if (rows.empty()) return false;
    folder->fold(held[at], events, rows, horizons_us[at], version_of(new_versions, at), out);
    return true;
  });
}

py::tuple Folding::merge(const py::sequence& a, const py::sequence& b, const py::sequence& versions) {
  Blobs held(a), others(b), new_versions(versions);
  if (held.size() != others.size()) throw py::value_error("expected as many records as there are to merge them with");
  check_versions(new_versions, held.size());
  Borrowed folder(*this);
  return made_by(held.size(), [&](std::size_t at, Buffer& out) {
    if (held[at].data() == nullptr && others[at].data() == nullptr) return false;
    folder->merge(held[at], others[at], version_of(new_versions, at), out);
    return true;
  });
}

py::tuple Folding::migrate(const py::sequence& blobs) {
  Blobs held(blobs);
  Borrowed folder(*this);
  return made_by(held.size(), [&](std::size_t at, Buffer& out) {
    if (held[at].data() == nullptr) return false;
    folder->migrate(held[at], out);
    return true;
  });
}

void define_folding(py::module_& module) {
  py::class_<Folding>(module, "Folding")
      .def(py::init<py::handle>(), py::arg("plan"))
      .def("add_layout", &Folding::add_layout, py::arg("layout"))
      .def("fold_bundle", &Folding::fold_bundle, py::arg("events"), py::arg("users"), py::arg("records"), py::arg("ids"),
           py::arg("ids_lost"), py::arg("due"), py::arg("chance"), py::arg("counts_events"),
           py::arg("outcome").noconvert(), py::arg("retention_us") = py::none())
      .def("fold", &Folding::fold, py::arg("blobs"), py::arg("events"), py::arg("horizon_us"), py::arg("versions"))
      .def("merge", &Folding::merge, py::arg("a"), py::arg("b"), py::arg("versions"))
      .def("migrate", &Folding::migrate, py::arg("blobs"));
  module.def("heads", &heads, py::arg("blobs"));
  module.def("crc32c", [](const py::bytes& bytes) { return crc32c(bytes_of(bytes)); }, py::arg("bytes"));
  module.def("crc32c_portable", [](const py::bytes& bytes) { return crc32c_portable(bytes_of(bytes)); }, py::arg("bytes"));
  py::dict described;
  described["strings"] = py::str(describe_columns<DictionaryColumns<Stored>>());
  for (const FamilyEntry& family : kFamilies) described[std::string(family.name).c_str()] = py::str(family.describe());
  module.attr("COLUMNS") = described;
  py::tuple families(kFamilies.size());
  for (std::size_t at = 0; at < kFamilies.size(); ++at) families[at] = py::str(std::string(kFamilies[at].name));
  module.attr("FAMILIES") = families;
  module.attr("MARKER") = py::bytes(kMarker.data(), kMarker.size());
}

}  // namespace user_state
