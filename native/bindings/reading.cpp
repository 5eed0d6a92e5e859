#include "bindings/reading.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstring>
#include <optional>

#include "bindings/calling.hpp"
#include "bindings/histories.hpp"
#include "bindings/shared_program.hpp"
#include "codec/replies.hpp"
#include "codec/xxh64.hpp"

namespace py = pybind11;

namespace user_state::reading {

namespace {

/// One of the tuples that plan/reading_program.py makes of outputs and pieces.
class Fields {
 public:
  explicit Fields(py::handle tuple) : tuple_(py::reinterpret_borrow<py::tuple>(tuple)) {}

  template <class T>
  T get(std::size_t place) const {
    return tuple_[place].cast<T>();
  }
  int number(std::size_t place) const { return get<int>(place); }
  double real(std::size_t place) const { return get<double>(place); }
  bool flag(std::size_t place) const { return get<bool>(place); }
  std::vector<int> numbers(std::size_t place) const { return get<std::vector<int>>(place); }
  /// Enumerations come as their numbers.
  template <class Enum>
  Enum choice(std::size_t place) const {
    return static_cast<Enum>(number(place));
  }
  template <class Enum>
  std::vector<Enum> choices(std::size_t place) const {
    std::vector<Enum> made;
    for (int one : numbers(place)) made.push_back(static_cast<Enum>(one));
    return made;
  }
  /// Its reach in seconds, or None, and its width in seconds.
  Window window(std::size_t place) const {
    Fields window(tuple_[place]);
    return {window.get<std::optional<std::int64_t>>(0), window.get<std::int64_t>(1)};
  }

 private:
  py::tuple tuple_;
};

template <class Made, class Make>
void each(const py::dict& described, const char* name, std::vector<Made>& into, Make make) {
  for (py::handle one : described[name]) into.push_back(make(Fields(one)));
}

Program program_of(const py::dict& d) {
  using F = const Fields&;
  Program p;
  p.layout = d["layout"].cast<std::string>();
  p.whole = d["whole"].cast<bool>();
  p.time_unit_us = d["time_unit_us"].cast<std::int64_t>();
  p.columns = d["columns"].cast<int>();
  p.array_sizes = d["array_sizes"].cast<std::vector<int>>();
  p.dimensions = d["dimensions"].cast<std::vector<int>>();
  each(d, "lists", p.lists, [](F f) { return ListShape{f.number(0), f.choices<Cells>(1)}; });
  for (py::handle window : d["windows"]) p.windows.push_back(Fields(py::make_tuple(window)).window(0));

  each(d, "numbers", p.numbers, [](F f) {
    return TileNumber{f.choice<TileAggregate>(0), f.number(1), f.number(2), f.real(3)};
  });
  each(d, "tiled", p.tiled, [](F f) { return TileOutput{f.number(0), f.number(1)}; });
  each(d, "ratios", p.ratios, [](F f) {
    return RatioOutput{f.number(0), f.number(1), f.number(2), f.real(3), f.real(4), f.real(5)};
  });
  each(d, "stacked", p.stacked, [](F f) { return StackedOutput{f.number(0), f.numbers(1)}; });
  each(d, "decayed", p.decayed, [](F f) { return DecayedOutput{f.number(0), f.number(1), f.number(2), f.real(3)}; });
  each(d, "logged", p.logged, [](F f) {
    return LoggedOutput{f.number(0), f.number(1), f.number(2), f.window(3), f.flag(4), f.real(5)};
  });
  each(d, "log_lists", p.log_lists, [](F f) {
    auto within_us = f.get<std::optional<std::int64_t>>(4);
    return LogList{f.number(0), f.number(1), f.numbers(2), f.window(3), within_us, f.number(5), f.flag(6)};
  });
  each(d, "last_seen", p.last_seen, [](F f) {
    return LastSeenOutput{f.number(0), f.number(1), f.window(2), f.get<std::int64_t>(3), f.flag(4), f.real(5)};
  });
  each(d, "sessions", p.sessions, [](F f) {
    return SessionOutput{f.number(0), f.choice<SessionAggregate>(1), f.number(2), f.window(3), f.real(4)};
  });
  each(d, "gaps", p.gaps, [](F f) { return GapOutput{f.number(0), f.number(1), f.window(2), f.real(3)}; });
  each(d, "distinct", p.distinct, [](F f) { return DistinctOutput{f.number(0), f.number(1), f.window(2), f.real(3)}; });
  each(d, "entropies", p.entropies, [](F f) { return EntropyOutput{f.number(0), f.number(1), f.window(2), f.real(3)}; });
  each(d, "profiles", p.profiles, [](F f) { return ProfileOutput{f.number(0), f.number(1), f.number(2)}; });
  each(d, "quantiles", p.quantiles, [](F f) {
    return QuantilesOutput{f.number(0), f.number(1), f.window(2), f.get<std::vector<double>>(3), f.real(4)};
  });
  each(d, "tables", p.tables, [](F f) {
    return Table{f.number(0), f.number(1), f.number(2), f.choice<Shown>(3), f.choice<Measure>(4), f.window(5)};
  });
  each(d, "decayed_tables", p.decayed_tables, [](F f) {
    return DecayedTable{f.number(0), f.number(1), f.number(2), f.flag(3)};
  });
  each(d, "vectors", p.vectors, [](F f) {
    return VectorOutput{f.number(0), f.number(1), f.number(2), f.flag(3), f.flag(4)};
  });

  for (py::handle kind : d["tracks"]) p.tracks.push_back(held_by(kind.cast<std::string>()));
  each(d, "logs", p.logs, [](F f) { return f.choices<LogKind>(0); });
  p.decay_half_lives_us = d["decays"].cast<std::vector<std::vector<std::int64_t>>>();
  each(d, "vector_parts", p.vector_parts, [](F f) {
    return VectorPart{f.number(0), f.number(1), f.get<std::vector<std::int64_t>>(2)};
  });
  p.last_seen_days = d["last_seen_days"].cast<std::vector<bool>>();
  each(d, "profile_parts", p.profile_parts, [](F f) { return ProfilePart{f.number(0), f.number(1)}; });
  p.session_gaps_us = d["session_gaps_us"].cast<std::vector<std::int64_t>>();
  p.hll_lg_ks = d["hll_lg_ks"].cast<std::vector<int>>();
  p.kll_ks = d["kll_ks"].cast<std::vector<int>>();
  auto keyed = [](F f) { return KeyedPart{f.get<std::vector<bool>>(0), f.flag(1), f.get<std::int64_t>(2)}; };
  each(d, "keyed_tracks", p.keyed_tracks, keyed);
  each(d, "keyed_decays", p.keyed_decays, keyed);
  p.gap_tracks = d["gap_tracks"].cast<int>();
  p.local_time = LocalTime(d["transitions_s"].cast<std::vector<std::int64_t>>(),
                           d["offsets_s"].cast<std::vector<std::int64_t>>());
  return p;
}

/// Returns what `Arrays::made` does, and what is wrong by record.
py::tuple features(const std::shared_ptr<SharedProgram>& shared, Folding& folding, const py::sequence& sequence,
                   const py::array_t<std::int64_t, py::array::c_style>& at_us) {
  Blobs blobs(sequence);
  if (at_us.ndim() != 1 || at_us.size() != static_cast<py::ssize_t>(blobs.size())) {
    throw py::value_error("expected a reading time for each record");
  }
  const std::int64_t* times_us = at_us.data();
  check_times({times_us, blobs.size()});
  Arrays arrays(shared->program(), shared->names, blobs.size());
  BorrowedReader reader(shared, folding, arrays.out);
  std::vector<Wrong> wrong;
  without_gil([&] {
    for (std::size_t at = 0; at < blobs.size(); ++at) {
      if (at == 0 || times_us[at] != times_us[at - 1]) reader->set_time(times_us[at]);
      if (auto error = reader->read(at, blobs[at])) wrong.push_back({at, std::move(*error)});
    }
  });
  return py::make_tuple(arrays.made(), listed(wrong));
}

/// Records at one time, row by row, each as soon as it has come: what Redis answers is read while it sends the rest.
class Reading {
 public:
  Reading(std::shared_ptr<SharedProgram> shared, py::object folding, std::size_t records, std::int64_t at_us)
      : shared_(std::move(shared)),
        folding_(std::move(folding)),
        at_us_(at_us),
        arrays_(shared_->program(), shared_->names, records),
        replies_(records) {
    check_times({&at_us_, 1});
    borrow();
  }

  /// Takes the first `filled` bytes of a buffer; what is left of them, the begin of a value, moves to its front.
  std::size_t take(const py::buffer& buffer, std::size_t filled) {
    py::buffer_info held = buffer.request(true);  // keeps the buffer where it is
    if (held.itemsize != 1 || filled > static_cast<std::size_t>(held.size)) {
      throw py::value_error("expected a buffer of bytes, and no more of it filled than there is");
    }
    char* bytes = static_cast<char*>(held.ptr);
    std::size_t left = 0;
    without_gil([&] {
      std::size_t taken = replies_.take({bytes, filled}, [&](std::string_view blob) { came(blob); });
      left = filled - taken;
      if (left > 0) std::memmove(bytes, bytes + taken, left);
    });
    return left;
  }

  /// Takes records that others have read.
  void put(const py::sequence& sequence) {
    Blobs blobs(sequence);
    if (blobs.size() > arrays_.records() - replies_.taken()) throw py::value_error("expected no more records");
    without_gil([&] {
      for (std::size_t at = 0; at < blobs.size(); ++at) came(blobs[at]);
    });
    replies_.skip(blobs.size());
  }

  const Replies& replies() const { return replies_; }

  /// Has the bytes of these records, ascending rows, kept for `kept`.
  void keep(std::vector<std::size_t> rows) { to_keep_ = std::move(rows); }

  /// Returns the records that were to be kept and have come, None where there was none.
  py::list kept() const {
    py::list made;
    for (const auto& blob : kept_) blob ? made.append(py::bytes(*blob)) : made.append(py::none());
    return made;
  }

  /// Returns what `Arrays::made` does, and what is wrong by record. Records of layouts that were not known are read again,
  /// so that it may be asked again once they are.
  py::tuple made() {
    if (!replies_.done()) throw py::value_error("expected all records before what was made of them");
    if (!unknown_.empty()) {
      auto again = std::exchange(unknown_, {});
      unknown_errors_.clear();
      borrow();
      without_gil([&] {
        for (const auto& [row, blob] : again) read(row, blob);
      });
    }
    std::vector<Wrong> wrong = wrong_;
    for (const auto& [row, error] : unknown_errors_) wrong.push_back({row, error});
    return py::make_tuple(arrays_.made(), listed(wrong));
  }

 private:
  /// Takes a reader, which knows the layouts that are known now.
  void borrow() {
    reader_.reset();
    reader_.emplace(shared_, folding_.cast<Folding&>(), arrays_.out);
    (*reader_)->set_time(at_us_);
  }

  void came(std::string_view blob) {
    if (kept_.size() < to_keep_.size() && to_keep_[kept_.size()] == row_) {
      kept_.push_back(blob.data() == nullptr ? std::nullopt : std::optional<std::string>(blob));
    }
    read(row_++, blob);
  }

  void read(std::size_t row, std::string_view blob) {
    std::optional<RecordError> error = (*reader_)->read(row, blob);
    if (!error) return;
    if (error->kind == RecordError::Kind::kUnknownLayout) {
      unknown_.emplace_back(row, blob);
      unknown_errors_.emplace_back(row, std::move(*error));
    } else {
      wrong_.push_back({row, std::move(*error)});
    }
  }

  std::shared_ptr<SharedProgram> shared_;
  py::object folding_;
  std::int64_t at_us_;
  Arrays arrays_;
  std::optional<BorrowedReader> reader_;
  Replies replies_;
  std::size_t row_ = 0;
  std::vector<std::size_t> to_keep_;
  std::vector<std::optional<std::string>> kept_;
  std::vector<Wrong> wrong_;
  /// Records whose layout was not known as they came.
  std::vector<std::pair<std::size_t, std::string>> unknown_;
  std::vector<std::pair<std::size_t, RecordError>> unknown_errors_;
};

/// Which texts are in the sample: the upper 32 bits of their xxh64 are below a number.
py::list sampled(const py::sequence& users, std::uint64_t below) {
  py::tuple held(users);
  py::list rows;
  for (std::size_t row = 0; row < held.size(); ++row) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(held.ptr(), static_cast<Py_ssize_t>(row)), &size);
    if (text == nullptr) throw py::error_already_set();
    if (xxh64({text, static_cast<std::size_t>(size)}, 0) >> 32 < below) rows.append(row);
  }
  return rows;
}

/// The command MGET as Redis takes it. redis-py's packer takes ten times as long.
py::bytes pack_mget(const py::sequence& keys) {
  py::tuple held(keys);
  constexpr std::size_t kRoom = 64;
  std::string packed = "*" + std::to_string(held.size() + 1) + "\r\n$4\r\nMGET\r\n";
  packed.reserve(packed.size() + kRoom * held.size());
  for (py::handle key : held) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(key.ptr(), &size);
    if (text == nullptr) throw py::error_already_set();
    packed.append("$").append(std::to_string(size)).append("\r\n");
    packed.append(text, static_cast<std::size_t>(size)).append("\r\n");
  }
  return py::bytes(packed);
}

}  // namespace

void define_record_reader(py::module_& module) {
  py::class_<SharedProgram, std::shared_ptr<SharedProgram>> program(module, "ReadingProgram");
  program.def(py::init([](const py::dict& described) {
                return std::make_shared<SharedProgram>(program_of(described), described);
              }),
              py::arg("described"))
      .def("features", &features, py::arg("folding"), py::arg("blobs"), py::arg("at_us").noconvert())
      .def("begin",
           [](std::shared_ptr<SharedProgram> shared, py::object folding, std::size_t records, std::int64_t at_us) {
             return std::make_unique<Reading>(std::move(shared), std::move(folding), records, at_us);
           },
           py::arg("folding"), py::arg("records"), py::arg("at_us"));
  define_histories(program);
  py::class_<Reading>(module, "Reading")
      .def("take", &Reading::take, py::arg("buffer"), py::arg("filled"))
      .def("put", &Reading::put, py::arg("blobs"))
      .def_property_readonly("taken", [](const Reading& self) { return self.replies().taken(); })
      .def_property_readonly("foreign", [](const Reading& self) { return self.replies().foreign(); })
      .def_property_readonly("broken", [](const Reading& self) { return self.replies().broken(); })
      .def("keep", &Reading::keep, py::arg("rows"))
      .def("kept", &Reading::kept)
      .def("made", &Reading::made);
  module.def("sampled", &sampled, py::arg("users"), py::arg("below"));
  module.def("pack_mget", &pack_mget, py::arg("keys"));
}

}  // namespace user_state::reading
