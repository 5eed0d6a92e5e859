#include "bindings/admitting.hpp"

#include <string>

#include "bindings/calling.hpp"
#include "bindings/from_python.hpp"
#include "events/by_user.hpp"

namespace user_state {

namespace py = pybind11;

void check_times(std::span<const std::int64_t> times_us, std::size_t size) {
  if (times_us.size() != size) throw py::value_error("expected a time for each event and for each user");
  for (std::int64_t time_us : times_us) {
    if (time_us >= 0 && time_us < kTooLarge) continue;
    throw py::value_error("expected times from 0 to 2^62 us, got " + std::to_string(time_us));
  }
}

py::tuple Admitting::admit(const py::object& clock_us, const py::object& horizon_us, const py::sequence& seen,
                           const py::object& events) const {
  std::vector<py::object> kept_alive;
  auto clocks = column_of<std::int64_t>(clock_us, kept_alive);
  auto horizons = column_of<std::int64_t>(horizon_us, kept_alive);
  auto user = column_of<std::int64_t>(events.attr("user"), kept_alive);
  Admission::Arrived arrived{
      column_of<std::uint64_t>(events.attr("id_hash"), kept_alive),
      column_of<std::int64_t>(events.attr("time_us"), kept_alive),
      column_of<std::int64_t>(events.attr("published_us"), kept_alive),
  };
  Blobs ids(seen);
  std::size_t users = ids.size(), rows = user.size();
  for (auto times_us : {clocks, horizons}) check_times(times_us, users);
  for (auto times_us : {arrived.time_us, arrived.published_us}) check_times(times_us, rows);
  if (arrived.id_hash.size() != rows) throw py::value_error("expected an id for each event");
  ByUser by_user(user, users);
  py::array_t<std::int8_t> outcome(static_cast<py::ssize_t>(rows));
  py::array_t<std::int64_t> horizon(static_cast<py::ssize_t>(users));
  auto* outcomes = reinterpret_cast<Outcome*>(outcome.mutable_data());
  std::int64_t* horizons_from_now = horizon.mutable_data();
  Buffer packed;
  std::vector<std::size_t> ends;
  std::vector<std::pair<std::size_t, std::string>> wrong;
  std::int64_t shortened = 0;
  without_gil([&] {
    Admission admission(rules_);
    for (std::size_t at = 0; at < users; ++at) {
      std::optional<std::string_view> mine;
      if (ids[at].data() != nullptr) mine = ids[at];
      Admission::Kept kept{};
      auto judge = [&] { return admission.judge({clocks[at], horizons[at]}, mine, arrived, by_user.rows_of(at), outcomes); };
      try {
        kept = judge();
      } catch (const Corrupt& corrupt) {
        wrong.emplace_back(at, corrupt.what);
        mine.reset();
        kept = judge();
      }
      horizons_from_now[at] = kept.horizon_us;
      shortened += kept.shortened;
      Writer(packed).bytes(kept.seen);
      ends.push_back(packed.size());
    }
  });
  py::list seen_from_now(users), refused;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < users; ++at) {
    seen_from_now[at] = py::bytes(packed.data() + begin, ends[at] - begin);
    begin = ends[at];
  }
  for (const auto& [at, what] : wrong) refused.append(py::make_tuple(at, what));
  return py::make_tuple(outcome, seen_from_now, horizon, shortened, refused);
}

}  // namespace user_state
