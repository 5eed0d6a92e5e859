// The decoder of message bodies, as Python has it (user_state/events/decode.py).
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <functional>
#include <string>

#include "events/event_batch.hpp"
#include "events/event_decoder.hpp"

namespace user_state {

/// EventDecoder for Python.
class DecodingEvents {
 public:
  DecodingEvents(const pybind11::iterable& places, const pybind11::iterable& writers, pybind11::handle limits,
                 std::string known, const std::string& framing);

  /// Returns (batch, [(index, reason, detail)]). Of messages whose events somebody else has read, `values` has a list of
  /// one value a place; of those whose bodies have to be unpacked, a function that returns the unpacked bytes, or (reason,
  /// detail); None for all others.
  static pybind11::tuple decode(const pybind11::object& self, const pybind11::object& messages,
                                const pybind11::object& values);
  /// All fields of one event by name, or (reason, detail).
  pybind11::object event(const pybind11::bytes& body) const;
  /// `(user, id_hash, time_us, published_us, *fields)` of one value a place, or None and [reason, detail].
  pybind11::tuple row(const pybind11::list& values, const pybind11::object& publish_us) const;
  /// The same of a body.
  pybind11::tuple row_of_body(const pybind11::bytes& body, const pybind11::object& publish_us) const;

 private:
  pybind11::tuple row_made(const std::function<void(EventBatch&)>& add) const;

  EventDecoder decoder_;
};

void define_event_decoding(pybind11::module_& module);

}  // namespace user_state
