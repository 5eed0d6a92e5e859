#include "bindings/from_python.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "bindings/held_batch.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

template <class T>
std::optional<T> optional(const py::object& value) {
  return value.is_none() ? std::nullopt : std::optional<T>(value.cast<T>());
}

template <class T>
T get(py::handle piece, const char* name) {
  return piece.attr(name).cast<T>();
}

std::vector<int> indices(const py::object& listed) {
  std::vector<int> taken;
  for (py::handle index : listed) taken.push_back(index.cast<int>());
  return taken;
}

std::vector<std::int64_t> numbers(const py::object& listed) {
  std::vector<std::int64_t> taken;
  for (py::handle number : listed) taken.push_back(number.cast<std::int64_t>());
  return taken;
}

Kind kind_of(py::handle field) {
  auto kind = get<std::string>(field, "value_kind");
  if (kind == "string") return Kind::kString;
  if (kind == "float") return Kind::kFloat;
  if (kind == "int") return Kind::kInt;
  if (kind == "bool") return Kind::kBool;
  throw std::invalid_argument("expected a field of a kind that this release knows, got \"" + kind + "\"");
}

Condition condition_of(py::handle condition, const std::vector<Kind>& fields) {
  using Is = Condition::Is;
  constexpr std::pair<std::string_view, Is> kWords[] = {
      {"", Is::kOneOf},     {"contains", Is::kContains}, {"exists", Is::kExists}, {"<", Is::kLess},  {"<=", Is::kAtMost},
      {">", Is::kMore},     {">=", Is::kAtLeast},        {"not", Is::kNot},       {"any", Is::kAny}, {"all", Is::kAll}};
  std::string word = py::hasattr(condition, "word") ? get<std::string>(condition, "word") : "";
  auto found = std::ranges::find(kWords, word, &std::pair<std::string_view, Is>::first);
  if (found == std::end(kWords)) throw py::value_error("unknown condition: " + word);
  Condition taken{found->second};
  if (taken.is == Is::kNot) {
    taken.parts.push_back(condition_of(condition.attr("part"), fields));
  } else if (taken.is == Is::kAny || taken.is == Is::kAll) {
    for (py::handle part : condition.attr("parts")) taken.parts.push_back(condition_of(part, fields));
  } else {
    taken.field = get<int>(condition, "field");
    auto add = [&](py::handle value) {
      switch (fields.at(taken.field)) {
        case Kind::kString: taken.texts.push_back(py::str(value)); break;
        case Kind::kFloat: taken.doubles.push_back(value.cast<double>()); break;
        default: taken.integers.push_back(value.cast<std::int64_t>());
      }
    };
    if (py::hasattr(condition, "number")) add(condition.attr("number"));
    if (py::hasattr(condition, "accepted")) {
      for (py::handle value : condition.attr("accepted")) add(value);
    }
  }
  return taken;
}

Filter filter_of(py::handle accepting, const std::vector<Kind>& fields) {
  Filter filter;
  for (py::handle one : accepting.attr("conditions")) filter.conditions.push_back(condition_of(one, fields));
  return filter;
}

/// Edges between whole numbers are whole, or infinite.
Track track_of(py::handle track, const std::vector<Kind>& fields) {
  Track taken{get<std::string>(track, "kind"), get<int>(track, "filter"), optional<int>(track.attr("of"))};
  if (track.attr("between").is_none()) return taken;
  py::tuple between = track.attr("between");
  bool bounded = !std::isinf(between[1].cast<double>());
  if (fields.at(*taken.of) == Kind::kFloat) {
    taken.doubles = {between[0].cast<double>(), bounded ? std::optional(between[1].cast<double>()) : std::nullopt};
  } else {
    bool begins = !std::isinf(between[0].cast<double>());
    taken.integers = {begins ? between[0].cast<std::int64_t>() : std::numeric_limits<std::int64_t>::min(),
                      bounded ? std::optional(between[1].cast<std::int64_t>()) : std::nullopt};
  }
  return taken;
}

Weights weights_of(py::handle piece) {
  Weights weights;
  if (piece.attr("weight_field").is_none() || piece.attr("weights").is_none()) return weights;
  weights.field = get<int>(piece, "weight_field");
  for (auto [text, weight] : py::dict(piece.attr("weights"))) {
    weights.of_text[text.cast<std::string>()] = weight.cast<double>();
  }
  return weights;
}

Log log_of(py::handle piece, py::handle layout) {
  auto keeps = get<std::string>(piece, "keeps");
  Log log{
      keeps == "first" ? Log::Keeps::kFirst : keeps == "distinct" ? Log::Keeps::kDistinct : Log::Keeps::kLast,
      get<int>(piece, "filter"),
      optional<int>(piece.attr("required")),
      indices(piece.attr("fields")),
      {},
      {},
      {},
      get<std::int64_t>(piece, "cap"),
      optional<std::int64_t>(piece.attr("reach_us")),
  };
  for (py::handle field : layout.attr("fields")) {
    py::tuple name_and_kind = field.cast<py::tuple>();
    log.names.push_back(name_and_kind[0].cast<std::string>());
    auto kind = name_and_kind[1].cast<std::string>();
    log.is_time.push_back(kind == "time");
    log.lists.push_back(list_of(kind));
  }
  return log;
}

std::optional<Window> window_of(const py::object& window) {
  if (window.is_none()) return std::nullopt;
  return Window{optional<std::int64_t>(window.attr("reach_s")), get<std::int64_t>(window, "width_s")};
}

}  // namespace

std::string_view bytes_of(py::handle blob) {
  char* begin = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(blob.ptr(), &begin, &size) != 0) throw py::error_already_set();
  return {begin, static_cast<std::size_t>(size)};
}

TrackAxes axes_of(py::handle axes) {
  std::vector<TrackAxes::Axis> taken;
  std::int64_t skew_s = 0;
  for (py::handle axis : axes.attr("distinct")) {
    skew_s = std::max(skew_s, get<std::int64_t>(axis, "skew_s"));
    std::vector<TrackAxes::Level> levels;
    for (py::handle level : axis.attr("levels")) {
      levels.push_back({get<std::int64_t>(level, "width_s"), get<std::int64_t>(level, "reach_s")});
    }
    taken.push_back({std::move(levels), get<bool>(axis, "lifetime")});
  }
  return {std::move(taken), indices(axes.attr("axis_of")), skew_s};
}

Plan plan_of(py::handle plan) {
  Plan taken;
  taken.allowed_lateness_us = get<std::int64_t>(plan, "allowed_lateness_us");
  taken.max_clock_skew_us = get<std::int64_t>(plan, "max_clock_skew_us");
  taken.skew_s = get<std::int64_t>(plan.attr("axis"), "skew_s");
  taken.local_time = {numbers(plan.attr("local_time").attr("transitions_s")),
                      numbers(plan.attr("local_time").attr("offsets_s"))};
  taken.track_axes = axes_of(plan.attr("track_axes"));
  taken.log_axes = axes_of(plan.attr("log_axes"));
  taken.hll_axes = axes_of(plan.attr("hll_axes"));
  taken.kll_axes = axes_of(plan.attr("kll_axes"));
  taken.keyed_axes = axes_of(plan.attr("keyed_axes"));
  taken.gap_axes = axes_of(plan.attr("gap_axes"));
  taken.layout = get<std::string>(plan.attr("layout"), "fingerprint");
  for (py::handle field : plan.attr("fields")) {
    taken.fields.push_back(kind_of(field));
    taken.is_list.push_back(get<bool>(field, "is_list"));
  }
  for (py::handle accepting : plan.attr("filters")) taken.filters.push_back(filter_of(accepting, taken.fields));
  for (py::handle track : plan.attr("tracks")) taken.tracks.push_back(track_of(track, taken.fields));
  py::tuple log_layouts = plan.attr("layout").attr("logs");
  for (py::handle log : plan.attr("logs")) taken.logs.push_back(log_of(log, log_layouts[taken.logs.size()]));
  for (py::handle decay : plan.attr("decays")) {
    taken.decays.push_back({get<int>(decay, "filter"), optional<int>(decay.attr("of")), numbers(decay.attr("half_lives_us"))});
  }
  for (py::handle one : plan.attr("vectors")) {
    taken.vectors.push_back({get<int>(one, "filter"), get<int>(one, "of"), get<int>(one, "dimensions"),
                       numbers(one.attr("half_lives_us")), weights_of(one), optional<int>(one.attr("weighed_by")),
                       get<int>(one, "component_bytes")});
  }
  for (py::handle track : plan.attr("last_seen")) {
    taken.last_seen.push_back({get<std::string>(track, "kind") == "days", get<int>(track, "filter"),
                         optional<int>(track.attr("of")), optional<std::int64_t>(track.attr("reach_s")),
                         get<std::int64_t>(track, "cap")});
  }
  for (py::handle profile : plan.attr("profiles")) {
    taken.profiles.push_back({get<std::string>(profile, "aggregate") == "hour_of_day", get<int>(profile, "filter"),
                        get<int>(profile, "bins"), numbers(profile.attr("half_lives_us"))});
  }
  for (py::handle track : plan.attr("sessions")) {
    taken.sessions.push_back({get<int>(track, "filter"), get<std::int64_t>(track, "gap_us"), window_of(track.attr("horizon")),
                        get<bool>(track, "lifetime")});
  }
  for (py::handle track : plan.attr("hlls")) {
    taken.hlls.push_back({get<int>(track, "filter"), get<int>(track, "of"), get<int>(track, "lg_k")});
  }
  for (py::handle track : plan.attr("klls")) {
    taken.klls.push_back({get<int>(track, "filter"), get<int>(track, "of"), get<int>(track, "k")});
  }
  for (py::handle track : plan.attr("keyed_tracks")) {
    taken.keyed_tracks.push_back({get<int>(track, "filter"), indices(track.attr("by")), optional<int>(track.attr("of")),
                            get<std::int64_t>(track, "most_keys")});
  }
  for (py::handle decay : plan.attr("keyed_decays")) {
    taken.keyed_decays.push_back({get<int>(decay, "filter"), indices(decay.attr("by")), get<std::int64_t>(decay, "half_life_us"),
                            get<std::int64_t>(decay, "most_keys"), weights_of(decay)});
  }
  for (py::handle track : plan.attr("gaps")) taken.gaps.push_back({get<int>(track, "filter")});
  return taken;
}

Layout layout_of(py::handle layout) {
  Layout taken;
  taken.fingerprint = get<std::string>(layout, "fingerprint");
  for (py::handle kept : layout.attr("kept")) {
    auto skew_us = get<std::int64_t>(kept, "skew_us");
    taken.skew_us = std::min(taken.skew_us.value_or(skew_us), skew_us);
  }
  auto each = [&layout](const char* family, auto& into, auto make) {
    for (py::handle piece : layout.attr(family)) into.push_back(make(piece, get<std::string>(piece, "key")));
  };
  using std::string;
  each("tracks", taken.tracks, [](py::handle p, string key) { return Layout::Track{key, get<string>(p, "kind")}; });
  each("logs", taken.logs, [](py::handle p, string key) {
    Layout::Log log{key, {}};
    for (py::handle field : p.attr("fields")) {
      py::tuple name_and_kind = field.cast<py::tuple>();
      log.fields.emplace_back(name_and_kind[0].cast<string>(), name_and_kind[1].cast<string>());
    }
    return log;
  });
  each("decays", taken.decays, [](py::handle p, string key) {
    return Layout::Decay{key, get<std::size_t>(p, "half_lives")};
  });
  each("vectors", taken.vectors, [](py::handle p, string key) {
    return Layout::Vectors{key, get<std::size_t>(p, "half_lives"), get<int>(p, "dimensions"),
                           get<int>(p, "component_bytes")};
  });
  each("last_seen", taken.last_seen, [](py::handle p, string key) {
    return Layout::LastSeen{key, get<string>(p, "kind")};
  });
  each("profiles", taken.profiles, [](py::handle p, string key) {
    return Layout::Profile{key, get<std::size_t>(p, "half_lives"), get<int>(p, "bins")};
  });
  each("sessions", taken.sessions, [](py::handle, string key) { return Layout::Session{key}; });
  each("hlls", taken.hlls, [](py::handle p, string key) { return Layout::Hll{key, get<int>(p, "lg_k")}; });
  each("klls", taken.klls, [](py::handle p, string key) { return Layout::Kll{key, get<int>(p, "k")}; });
  each("gaps", taken.gaps, [](py::handle, string key) { return Layout::Gap{key}; });
  auto kinds_of = [](py::handle piece) {
    std::vector<string> kinds;
    for (py::handle kind : piece.attr("kinds")) kinds.push_back(kind.cast<string>());
    return kinds;
  };
  each("keyed_tiles", taken.keyed_tiles, [&](py::handle p, string key) {
    return Layout::KeyedTrack{key, kinds_of(p), get<bool>(p, "sums")};
  });
  each("keyed_decays", taken.keyed_decays, [&](py::handle p, string key) {
    return Layout::KeyedDecay{key, kinds_of(p)};
  });
  return taken;
}

namespace {

/// How values of a kind are held.
int storage_of(Kind kind) { return kind == Kind::kString ? 0 : kind == Kind::kFloat ? 1 : 2; }

Columns columns_of(const Plan& plan, const EventBatch& batch) {
  Columns taken = batch.columns();
  bool fits = taken.fields.size() == plan.fields.size();
  for (std::size_t field = 0; fits && field < plan.fields.size(); ++field) {
    fits = storage_of(taken.fields[field].kind) == storage_of(plan.fields[field]) &&
           (taken.fields[field].offsets != nullptr) == plan.is_list[field];
    taken.fields[field].kind = plan.fields[field];
  }
  if (!fits) throw py::value_error("expected events with the fields of the plan");
  return taken;
}

/// Where the values of each of so many events lie in a column of lists.
const std::int64_t* offsets_of(const py::object& ends, std::size_t events, std::size_t values, std::vector<py::object>& kept) {
  auto taken = column_of<std::int64_t>(ends, kept);
  bool fits = taken.size() == events + 1 && taken.front() == 0 && taken.back() <= static_cast<std::int64_t>(values);
  if (!fits || !std::ranges::is_sorted(taken)) throw py::value_error("expected lists that lie one behind the other");
  return taken.data();
}

}  // namespace

void check_arrivals(const Columns& columns) {
  std::size_t rows = columns.user.size();
  if (columns.id_hash.size() != rows) throw py::value_error("expected an id for each event");
  for (auto times_us : {columns.time_us, columns.published_us}) {
    if (times_us.size() != rows) throw py::value_error("expected two times for each event");
    for (std::int64_t time_us : times_us) {
      if (time_us >= 0 && time_us < kFarthestUs) continue;
      throw py::value_error("expected times from 0 to 2^61 us, got " + std::to_string(time_us));
    }
  }
}

EventsOfPython::EventsOfPython(const Plan& plan, py::handle events) {
  if (py::isinstance<HeldBatch>(events)) {
    columns = columns_of(plan, events.cast<const HeldBatch&>().batch);
    return;
  }
  columns.users = py::len(events.attr("users"));
  columns.user = column_of<std::int64_t>(events.attr("user"), kept_);
  columns.id_hash = column_of<std::uint64_t>(events.attr("id_hash"), kept_);
  columns.time_us = column_of<std::int64_t>(events.attr("time_us"), kept_);
  columns.published_us = column_of<std::int64_t>(events.attr("published_us"), kept_);
  py::tuple fields = events.attr("columns");
  if (fields.size() != plan.fields.size()) throw py::value_error("expected events with the fields of the plan");
  for (std::size_t field = 0; field < plan.fields.size(); ++field) {
    Columns::Field taken{plan.fields[field]};
    py::object values = fields[field];
    if (plan.is_list[field]) {
      taken.offsets = offsets_of(values.attr("ends"), columns.user.size(), py::len(values.attr("values")), kept_);
      values = values.attr("values");
    }
    if (taken.kind == Kind::kFloat) {
      taken.doubles = column_of<double>(values, kept_).data();
    } else {
      taken.integers = column_of<std::int64_t>(values, kept_).data();
    }
    columns.fields.push_back(taken);
  }
  py::list texts = events.attr("pool").attr("texts");
  columns.texts.reserve(texts.size());
  for (py::handle text : texts) {
    Py_ssize_t length = 0;
    const char* utf8 = PyUnicode_AsUTF8AndSize(text.ptr(), &length);
    if (utf8 == nullptr) throw py::error_already_set();
    columns.texts.emplace_back(utf8, static_cast<std::size_t>(length));
  }
  kept_.push_back(texts);
}

}  // namespace user_state
