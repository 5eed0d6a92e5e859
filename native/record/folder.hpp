// Folding events into packed records, record by record: what decode, apply and encode do for many at once in Python.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "families/family.hpp"

namespace user_state {

class Folder {
 public:
  /// `plan` is a Python Plan, `marker` what every record begins with, `blanks` the sections of a record that holds
  /// nothing, the dictionary first.
  Folder(pybind11::object plan, std::string marker, std::vector<std::string> blanks);

  /// Returns (4, n) clock, last event, horizon and number of applied events of n records of any layout, None being no
  /// record; None if any of them is not one.
  pybind11::object heads(const pybind11::list& blobs) const;

  /// Returns n users' records with a batch of events folded in, each with its new version; None for users without
  /// events, and for those whose record numpy has to fold. None for a batch that numpy has to fold.
  /// `horizon_us` (n,) is what the records say of it from now on.
  pybind11::object fold(const pybind11::list& blobs, const pybind11::object& events,
                        const pybind11::array_t<std::int64_t>& horizon_us, const pybind11::list& versions);

 private:
  static constexpr std::size_t kLongs = 4;
  /// The order of `Records` and of the outer record.
  enum Long { kClock, kLastEvent, kHorizon, kApplied };

  struct Outer {
    std::string_view layout;
    std::array<std::int64_t, kLongs> longs{};
    std::vector<std::string_view> sections;
  };

  void open(std::string_view blob, Outer& outer) const;
  /// Folds into one record, or None, and leaves it for `record`.
  void fold_one(pybind11::handle blob, const Events& events, std::span<const std::uint32_t> rows,
                std::int64_t horizon_us);
  pybind11::bytes record(std::string_view version);

  const Plan plan_;
  const std::string marker_;
  const std::vector<std::string> blanks_;
  std::vector<std::unique_ptr<Family>> families_;
  Strings strings_;
  Outer outer_;
  /// Of the record that was folded: its sections, one after the other, and where each ends.
  Buffer packed_;
  std::vector<std::size_t> ends_;
  /// What stands before the sections, and where that ends.
  Buffer frame_;
  std::vector<std::size_t> frame_ends_;
};

}  // namespace user_state
