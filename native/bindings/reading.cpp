#include "bindings/reading.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include "codec/replies.hpp"
#include "record/reader.hpp"

namespace py = pybind11;

namespace user_state::reading {

namespace {

/// One of the tuples that core/reading_program.py makes of outputs and pieces.
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
  p.marker = d["marker"].cast<std::string>();
  p.layout = d["layout"].cast<std::string>();
  for (py::handle blank : d["blanks"]) p.blanks.push_back(blank.cast<std::string>());
  need(p.blanks.size() == kSections);
  p.whole = d["whole"].cast<bool>();
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
  each(d, "hlls", p.hlls, [](F f) { return HllPart{f.number(0), f.get<std::vector<double>>(1)}; });
  p.kll_ks = d["kll_ks"].cast<std::vector<int>>();
  auto keyed = [](F f) { return KeyedPart{f.get<std::vector<bool>>(0), f.flag(1), f.get<std::int64_t>(2)}; };
  each(d, "keyed_tracks", p.keyed_tracks, keyed);
  each(d, "keyed_decays", p.keyed_decays, keyed);
  p.local_time = LocalTime(d["transitions_s"].cast<std::vector<std::int64_t>>(),
                           d["offsets_s"].cast<std::vector<std::int64_t>>());
  return p;
}

/// Makes an array without setting it to anything. pybind11's own constructor works out strides, in memory that it asks
/// for, which costs more than the array; a call makes dozens.
template <class T>
T* made_array(py::object& into, py::ssize_t rows, py::ssize_t width = -1) {
  static PyObject* const type = py::dtype::of<T>().release().ptr();
  auto& numpy = py::detail::npy_api::get();
  Py_INCREF(type);  // the array keeps it
  Py_ssize_t shape[] = {rows, width};
  into = py::reinterpret_steal<py::object>(numpy.PyArray_NewFromDescr_(numpy.PyArray_Type_, type, width < 0 ? 1 : 2, shape,
                                                                       nullptr, nullptr, 0, nullptr));
  if (!into) throw py::error_already_set();
  return reinterpret_cast<T*>(py::detail::array_proxy(into.ptr())->data);
}

/// What outputs are called: dictionaries of a call's arrays have these for keys.
struct Names {
  std::vector<py::object> arrays, embeddings;
  std::vector<std::vector<py::object>> lists;

  explicit Names(const py::dict& described)
      : arrays(listed(described["array_names"])), embeddings(listed(described["embedding_names"])) {
    for (py::handle names : described["list_names"]) lists.push_back(listed(names));
  }

 private:
  static std::vector<py::object> listed(py::handle names) {
    std::vector<py::object> made;
    for (py::handle name : names) made.push_back(py::reinterpret_borrow<py::object>(name));
    return made;
  }
};

/// The arrays of a call, and where they lie.
class Arrays {
 public:
  Arrays(const Program& program, const Names& names, std::size_t records) : rows_(static_cast<py::ssize_t>(records)) {
    out.values = made_array<float>(values_, rows_, program.columns);
    out.status = reinterpret_cast<Status*>(made_array<bool>(present_, rows_));
    out.last_event_us = made_array<std::int64_t>(last_event_us_, rows_);
    for (std::size_t at = 0; at < names.arrays.size(); ++at) {
      out.arrays.push_back(put<float>(arrays_, names.arrays[at], program.array_sizes[at]));
    }
    for (std::size_t at = 0; at < names.embeddings.size(); ++at) {
      out.embeddings.push_back(put<float>(embeddings_, names.embeddings[at], program.dimensions[at]));
    }
    for (std::size_t at = 0; at < names.lists.size(); ++at) {
      const ListShape& shape = program.lists[at];
      py::object length;
      out.lengths.push_back(made_array<std::int64_t>(length, rows_));
      py::dict columns;
      std::vector<std::int64_t*>& grids = out.grids.emplace_back();
      for (std::size_t column = 0; column < shape.columns.size(); ++column) {
        py::handle name = names.lists[at][column];
        bool real = shape.columns[column] == Cells::kReal;
        grids.push_back(real ? reinterpret_cast<std::int64_t*>(put<double>(columns, name, shape.width))
                             : put<std::int64_t>(columns, name, shape.width));
      }
      lists_.append(py::make_tuple(std::move(length), std::move(columns)));
    }
  }

  std::size_t records() const { return static_cast<std::size_t>(rows_); }

  /// All arrays, once they are filled, and the rows that are for numpy to fill.
  py::tuple made() {
    py::list declined;
    for (std::size_t at = 0; at < records(); ++at) {
      if (out.status[at] == Status::kDeclined) declined.append(at);
      if (out.status[at] != Status::kRead) out.status[at] = Status::kAbsent;
    }
    static_assert(static_cast<int>(Status::kAbsent) == 0 && static_cast<int>(Status::kRead) == 1);  // a bool's bytes
    py::bytes lengths(reinterpret_cast<const char*>(out.text_lengths.data()),
                      out.text_lengths.size() * sizeof(std::uint16_t));
    return py::make_tuple(values_, present_, last_event_us_, arrays_, lists_, embeddings_, py::bytes(out.texts), lengths,
                          declined);
  }

  Outputs out;

 private:
  template <class T>
  T* put(py::dict& into, py::handle name, int width) const {
    py::object made;
    T* at = made_array<T>(made, rows_, width);
    into[name] = std::move(made);
    return at;
  }

  py::ssize_t rows_;
  py::object values_, present_, last_event_us_;
  py::dict arrays_, embeddings_;
  py::list lists_;
};

/// Lets other threads run while `work` does.
///
/// Not by `py::gil_scoped_release`: a daemon thread that asks for the lock while Python shuts down is ended there, and in
/// a destructor that ends the process.
template <class Work>
void without_gil(Work work) {
  std::exception_ptr thrown;
  PyThreadState* thread = PyEval_SaveThread();
  try {
    work();
  } catch (...) {
    thrown = std::current_exception();
  }
  PyEval_RestoreThread(thread);
  if (thrown) std::rethrow_exception(thrown);
}

/// A program, and readers of it that no call uses: to make one costs as much as to read some records. Only who holds
/// Python's lock takes and gives back.
class SharedProgram {
 public:
  explicit SharedProgram(const py::dict& described) : names(described), program_(program_of(described)) {}
  SharedProgram(const SharedProgram&) = delete;
  SharedProgram& operator=(const SharedProgram&) = delete;

  const Program& program() const { return program_; }
  const Names names;

  std::unique_ptr<RecordReader> take() {
    if (idle_.empty()) return std::make_unique<RecordReader>(program_);
    std::unique_ptr<RecordReader> taken = std::move(idle_.back());
    idle_.pop_back();
    return taken;
  }
  void give_back(std::unique_ptr<RecordReader> reader) {
    if (idle_.size() < kMostIdle && !reader->has_declined()) idle_.push_back(std::move(reader));
  }

 private:
  static constexpr std::size_t kMostIdle = 16;

  Program program_;
  std::vector<std::unique_ptr<RecordReader>> idle_;
};

/// A reader for one call.
class Borrowed {
 public:
  explicit Borrowed(std::shared_ptr<SharedProgram> from) : from_(std::move(from)), reader_(from_->take()) {}
  ~Borrowed() { from_->give_back(std::move(reader_)); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;

  RecordReader* operator->() const { return reader_.get(); }

 private:
  std::shared_ptr<SharedProgram> from_;
  std::unique_ptr<RecordReader> reader_;
};

void need_time(std::int64_t at_us) {
  if (at_us <= -kFarthestUs || at_us >= kFarthestUs) {
    throw py::value_error("expected reading times less than 2^61 us from 1970, got " + std::to_string(at_us));
  }
}

/// The bytes of records, None being a user without one, for as long as the caller's own hold on them lasts.
std::vector<std::string_view> views_of(const py::tuple& blobs) {
  std::vector<std::string_view> views(blobs.size());
  for (std::size_t at = 0; at < views.size(); ++at) {
    PyObject* blob = PyTuple_GET_ITEM(blobs.ptr(), static_cast<py::ssize_t>(at));
    if (blob == Py_None) continue;
    if (!PyBytes_Check(blob)) throw py::type_error("expected records as bytes, or None");
    views[at] = {PyBytes_AS_STRING(blob), static_cast<std::size_t>(PyBytes_GET_SIZE(blob))};
  }
  return views;
}

py::tuple features(const std::shared_ptr<SharedProgram>& shared, const py::sequence& blobs,
                   const py::array_t<std::int64_t, py::array::c_style>& at_us) {
  // The caller's list may change while others run; these bytes must not go away.
  py::tuple held(blobs);
  std::vector<std::string_view> views = views_of(held);
  if (at_us.ndim() != 1 || at_us.size() != static_cast<py::ssize_t>(views.size())) {
    throw py::value_error("expected a reading time for each record");
  }
  const std::int64_t* times_us = at_us.data();
  for (std::size_t at = 0; at < views.size(); ++at) need_time(times_us[at]);
  Arrays arrays(shared->program(), shared->names, views.size());
  Borrowed reader(shared);
  reader->set_outputs(arrays.out);
  without_gil([&] {
    for (std::size_t at = 0; at < views.size(); ++at) {
      if (at == 0 || times_us[at] != times_us[at - 1]) reader->set_time(times_us[at]);
      reader->read(at, views[at]);
    }
  });
  return arrays.made();
}

/// Records at one time, row by row, each as soon as it has come: what Redis answers is read while it sends the rest.
class Reading {
 public:
  Reading(std::shared_ptr<SharedProgram> shared, std::size_t records, std::int64_t at_us)
      : arrays_(shared->program(), shared->names, records), reader_(std::move(shared)), replies_(records) {
    need_time(at_us);
    reader_->set_outputs(arrays_.out);
    reader_->set_time(at_us);
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
      std::size_t taken = replies_.take({bytes, filled}, [&](std::string_view blob) { read(blob); });
      left = filled - taken;
      if (left > 0) std::memmove(bytes, bytes + taken, left);
    });
    return left;
  }

  /// Takes records that others have read.
  void put(const py::sequence& blobs) {
    py::tuple held(blobs);
    std::vector<std::string_view> views = views_of(held);
    if (views.size() > arrays_.records() - replies_.taken()) throw py::value_error("expected no more records");
    without_gil([&] {
      for (std::string_view blob : views) read(blob);
    });
    replies_.skip(views.size());
  }

  const Replies& replies() const { return replies_; }

  py::tuple made() {
    if (!replies_.done()) throw py::value_error("expected all records before what was made of them");
    return arrays_.made();
  }

  /// Records that this does not read, by row.
  py::dict declined() const {
    py::dict rows;
    for (const auto& [row, blob] : declined_) rows[py::int_(row)] = py::bytes(blob);
    return rows;
  }

 private:
  void read(std::string_view blob) {
    if (reader_->read(row_, blob) == Status::kDeclined) declined_.emplace_back(row_, blob);
    ++row_;
  }

  Arrays arrays_;
  Borrowed reader_;
  Replies replies_;
  std::size_t row_ = 0;
  std::vector<std::pair<std::size_t, std::string>> declined_;
};

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
  py::class_<SharedProgram, std::shared_ptr<SharedProgram>>(module, "ReadingProgram")
      .def(py::init<py::dict>(), py::arg("described"))
      .def("features", &features, py::arg("blobs"), py::arg("at_us").noconvert())
      .def("begin", [](std::shared_ptr<SharedProgram> shared, std::size_t records, std::int64_t at_us) {
        return std::make_unique<Reading>(std::move(shared), records, at_us);
      }, py::arg("records"), py::arg("at_us"));
  py::class_<Reading>(module, "Reading")
      .def("take", &Reading::take, py::arg("buffer"), py::arg("filled"))
      .def("put", &Reading::put, py::arg("blobs"))
      .def_property_readonly("taken", [](const Reading& self) { return self.replies().taken(); })
      .def_property_readonly("foreign", [](const Reading& self) { return self.replies().foreign(); })
      .def_property_readonly("broken", [](const Reading& self) { return self.replies().broken(); })
      .def("made", &Reading::made)
      .def("declined", &Reading::declined);
  module.def("pack_mget", &pack_mget, py::arg("keys"));
}

}  // namespace user_state::reading
