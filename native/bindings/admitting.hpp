// Judging a batch of events of many users, as Python has them.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "events/admission.hpp"

namespace user_state {

/// Refuses times of events, or what records say of time, that nothing can be judged by.
void check_times(std::span<const std::int64_t> times_us, std::size_t size);

/// Threads may share it.
class Admitting {
 public:
  Admitting(std::int64_t allowed_lateness_us, std::int64_t max_clock_skew_us, std::int64_t seen_ids_cap)
      : rules_{allowed_lateness_us, max_clock_skew_us, seen_ids_cap} {}

  /// Returns (m,) outcomes, n users' ids to remember, (n,) horizons, how many of them the cap has moved, and a list of
  /// (user, what is wrong) with ids that make no sense, which are taken for none. Clocks and horizons are (n,), and so
  /// are `seen`, None being no ids.
  pybind11::tuple admit(const pybind11::object& clock_us, const pybind11::object& horizon_us,
                        const pybind11::sequence& seen, const pybind11::object& events) const;

 private:
  const Admission::Rules rules_;
};

}  // namespace user_state
