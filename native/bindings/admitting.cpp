#include "bindings/admitting.hpp"

#include "bindings/from_python.hpp"
#include "events/by_user.hpp"

namespace user_state {

namespace py = pybind11;

py::object Admitting::admit(const py::object& clock_us, const py::object& horizon_us, const py::list& seen,
                            const py::object& events) {
  try {
    std::vector<py::object> kept_alive;
    auto clocks = column_of<std::int64_t>(clock_us, kept_alive);
    auto horizons = column_of<std::int64_t>(horizon_us, kept_alive);
    auto user = column_of<std::int64_t>(events.attr("user"), kept_alive);
    Admission::Arrived arrived{
        column_of<std::uint64_t>(events.attr("id_hash"), kept_alive),
        column_of<std::int64_t>(events.attr("time_us"), kept_alive),
        column_of<std::int64_t>(events.attr("published_us"), kept_alive),
    };
    std::size_t users = seen.size(), rows = user.size();
    need(clocks.size() == users && horizons.size() == users && arrived.id_hash.size() == rows);
    need(arrived.time_us.size() == rows && arrived.published_us.size() == rows);
    ByUser by_user(user, users);
    py::array_t<std::int8_t> outcome(static_cast<py::ssize_t>(rows));
    py::array_t<std::int64_t> horizon(static_cast<py::ssize_t>(users));
    auto* outcomes = reinterpret_cast<Outcome*>(outcome.mutable_data());
    py::list seen_from_now(users);
    std::int64_t shortened = 0;
    for (std::size_t at = 0; at < users; ++at) {
      std::optional<std::string_view> ids;
      if (!seen[at].is_none()) ids = bytes_of(seen[at]);
      auto kept = admission_.judge({clocks[at], horizons[at]}, ids, arrived, by_user.rows_of(at), outcomes);
      horizon.mutable_at(static_cast<py::ssize_t>(at)) = kept.horizon_us;
      shortened += kept.shortened;
      seen_from_now[at] = py::bytes(kept.seen.data(), kept.seen.size());
    }
    return py::make_tuple(outcome, seen_from_now, horizon, shortened);
  } catch (const Declined&) {
    return py::none();
  }
}

}  // namespace user_state
