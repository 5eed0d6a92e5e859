#include "bindings/folding.hpp"

#include "bindings/calling.hpp"
#include "bindings/from_python.hpp"
#include "codec/crc32c.hpp"
#include "codec/dictionary.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

/// How many bytes of records are made before they are handed to Python.
constexpr std::size_t kHandedOver = std::size_t{1} << 20;

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

/// As `open_record`, for callers who want an exception of Python's.
Envelope opened(std::string_view blob) {
  try {
    return open_record(blob);
  } catch (const RecordError& error) {
    py::set_error(py::module_::import("user_state.errors").attr("CodecError"), error.text.c_str());
    throw py::error_already_set();
  }
}

/// Returns a record with another horizon and version, and all else as it was.
py::bytes with_horizon(const py::bytes& blob, std::int64_t horizon_us, const py::bytes& version) {
  Envelope envelope = opened(bytes_of(blob));
  envelope.version = bytes_of(version);
  if (envelope.version.size() != kNameBytes) throw py::value_error("expected a version of 8 bytes");
  if (horizon_us < 0 || horizon_us >= kTooLarge) throw py::value_error("expected a horizon from 0 to 2^62 us");
  envelope.longs[Envelope::kHorizon] = horizon_us;
  Buffer made;
  put_record_again(made, envelope);
  return py::bytes(made.data(), made.size());
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

Folding::Folding(py::handle plan) : rules_{plan_of(plan), layout_of(plan.attr("layout"))} {}

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
      .def("fold", &Folding::fold, py::arg("blobs"), py::arg("events"), py::arg("horizon_us"), py::arg("versions"))
      .def("merge", &Folding::merge, py::arg("a"), py::arg("b"), py::arg("versions"))
      .def("migrate", &Folding::migrate, py::arg("blobs"));
  module.def("heads", &heads, py::arg("blobs"));
  module.def("with_horizon", &with_horizon, py::arg("blob"), py::arg("horizon_us"), py::arg("version"));
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
