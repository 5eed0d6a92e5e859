#include "record/folder.hpp"

#include <algorithm>

#include "bindings/from_python.hpp"

namespace user_state {

namespace py = pybind11;

namespace {

constexpr std::size_t kNameBytes = 8;

/// Stands for a family of which the plan has no pieces, whose sections are empty.
class NoPieces : public Family {
 public:
  void read(Reader section, const Strings&) override { section.end(); }
  void fold(const Arrivals&, Strings&) override {}
  void write(Writer&, const Strings&) const override {}
};

/// A zigzag varint from 0 to 2^62.
std::int64_t long_of(Reader& in) {
  std::uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    need(shift <= 56);
    auto byte = in.take<std::uint8_t>();
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte <= 0x7F) break;
  }
  need((value & 1) == 0);
  return static_cast<std::int64_t>(value >> 1);
}

}  // namespace

Folder::Folder(py::object plan, std::string marker, std::vector<std::string> blanks, py::object unite)
    : plan_(plan_of(plan)), marker_(std::move(marker)), blanks_(std::move(blanks)) {
  auto add = [this](const auto& pieces, auto make) {
    families_.push_back(pieces.empty() ? std::make_unique<NoPieces>() : make(plan_));
  };
  // In the order of the record's sections (codec/sections.py).
  add(plan_.tracks, make_tiles);
  add(plan_.logs, make_logs);
  add(plan_.decays, make_decays);
  add(plan_.vectors, make_vectors);
  add(plan_.last_seen, make_last_seen);
  add(plan_.profiles, make_profiles);
  add(plan_.sessions, make_sessions);
  add(plan_.hlls, make_hlls);
  add(plan_.klls, [&](const Plan& taken) { return make_klls(taken, unite_of(unite)); });
  add(plan_.keyed_tracks, make_keyed_tiles);
  add(plan_.keyed_decays, make_keyed_decays);
  add(plan_.gaps, make_gaps);
  need(blanks_.size() == families_.size() + 1);
}

void Folder::open(std::string_view blob, Outer& outer) const {
  Reader in(blob);
  need(in.bytes(marker_.size()) == marker_);
  in.bytes(kNameBytes);  // the version
  outer.layout = in.bytes(kNameBytes);
  for (std::int64_t& value : outer.longs) value = long_of(in);
  outer.sections.clear();
  for (std::size_t section = 0; section < blanks_.size(); ++section) {
    outer.sections.push_back(in.bytes(static_cast<std::size_t>(long_of(in))));
  }
  in.end();
}

py::object Folder::heads(const py::list& blobs) const {
  py::array_t<std::int64_t> heads({kLongs, blobs.size()});
  auto into = heads.mutable_unchecked<2>();
  Outer outer;
  try {
    for (std::size_t user = 0; user < blobs.size(); ++user) {
      outer.longs = {};
      if (!blobs[user].is_none()) open(bytes_of(blobs[user]), outer);
      for (std::size_t of = 0; of < kLongs; ++of) into(of, user) = outer.longs[of];
    }
  } catch (const Declined&) {
    return py::none();
  }
  return heads;
}

py::object Folder::fold(const py::list& blobs, const py::object& batch, const py::array_t<std::int64_t>& horizon_us,
                        const py::list& versions) {
  try {
    EventsOfPython held(plan_, batch);
    Events events(plan_, held.columns);
    need(blobs.size() == events.users() && versions.size() == events.users());
    need(static_cast<std::size_t>(horizon_us.size()) == events.users());
    py::list folded(events.users());
    strings_.begin(events);
    for (std::size_t user = 0; user < events.users(); ++user) {
      auto rows = events.rows_of(user);
      folded[user] = py::none();
      if (rows.empty()) continue;
      auto version = bytes_of(versions[user]);
      need(version.size() == kNameBytes);
      try {
        fold_one(blobs[user], events, rows, horizon_us.at(user));
        folded[user] = record(version);
      } catch (const Declined&) {
        // This record is numpy's to judge; it says nothing against the others.
      }
    }
    return folded;
  } catch (const Declined&) {
    return py::none();
  }
}

void Folder::fold_one(py::handle blob, const Events& events, std::span<const std::uint32_t> rows,
                      std::int64_t horizon_us) {
  if (blob.is_none()) {
    outer_.longs = {};
    outer_.sections.assign(blanks_.begin(), blanks_.end());
  } else {
    open(bytes_of(blob), outer_);
    need(outer_.layout == plan_.layout);
  }
  auto& longs = outer_.longs;
  for (std::uint32_t row : rows) {
    longs[kClock] = std::max(longs[kClock], events.published_us(row));
    longs[kLastEvent] = std::max(longs[kLastEvent], events.time_us(row));
  }
  longs[kHorizon] = std::max(longs[kHorizon], horizon_us);
  longs[kApplied] += static_cast<std::int64_t>(rows.size());
  Arrivals arrivals{events, rows, longs[kClock], longs[kHorizon]};
  strings_.read(outer_.sections[0]);
  for (std::size_t at = 0; at < families_.size(); ++at) {
    families_[at]->read(Reader(outer_.sections[at + 1]), strings_);
    families_[at]->fold(arrivals, strings_);
    families_[at]->use(strings_);
  }
  packed_.clear();
  Writer packed(packed_);
  ends_.clear();
  strings_.write(packed);
  ends_.push_back(packed.size());
  for (const auto& family : families_) {
    family->write(packed, strings_);
    ends_.push_back(packed.size());
  }
}

/// Returns the record of the sections that were packed; its bytes are copied once.
py::bytes Folder::record(std::string_view version) {
  frame_.clear();
  frame_ends_.clear();
  Writer frame(frame_);
  frame.bytes(marker_);
  frame.bytes(version);
  frame.bytes(plan_.layout);
  for (std::int64_t value : outer_.longs) frame.avro_long(value);
  std::size_t begin = 0;
  for (std::size_t end : ends_) {
    frame.avro_long(static_cast<std::int64_t>(end - begin));
    frame_ends_.push_back(frame.size());
    begin = end;
  }
  auto made = py::reinterpret_steal<py::bytes>(
      PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(frame_.size() + packed_.size())));
  if (!made) throw py::error_already_set();
  char* to = PyBytes_AS_STRING(made.ptr());
  auto copy = [&to](const Buffer& from, std::size_t begin, std::size_t end) {
    if (end > begin) std::memcpy(to, from.data() + begin, end - begin);
    to += end - begin;
  };
  for (std::size_t at = 0; at < ends_.size(); ++at) {
    copy(frame_, at == 0 ? 0 : frame_ends_[at - 1], frame_ends_[at]);
    copy(packed_, at == 0 ? 0 : ends_[at - 1], ends_[at]);
  }
  return made;
}

}  // namespace user_state
