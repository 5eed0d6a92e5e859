// Batches of events, as Python has them (user_state/state/event_batch.py).
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "events/event_batch.hpp"

namespace user_state {

/// An EventBatch with what its views are of.
class HeldBatch {
 public:
  explicit HeldBatch(const std::vector<EventBatch::Shape>& shapes) : batch(shapes) {}

  /// Joins packed batches of a plan's events; CodecError for other bytes.
  static std::unique_ptr<HeldBatch> join(pybind11::handle plan, const pybind11::iterable& packed);

  std::size_t size() const { return batch.size(); }
  /// What `Events` is made of; the arrays are views of this batch.
  static pybind11::tuple columns(const pybind11::object& self);
  /// The users' ids, and that of one event's user.
  pybind11::list users() const;
  pybind11::object user_of(std::size_t row) const;
  pybind11::tuple message(std::size_t row) const;
  /// Of all events where `rows` is None.
  pybind11::bytes pack(const pybind11::object& rows) const;
  /// [(shard, packed events of its users)], shards in order of first coming.
  pybind11::list pack_by_shard(const pybind11::object& rows, std::uint64_t shards) const;
  /// [(user, packed events)], likewise; of all events where `rows` is None.
  pybind11::list pack_by_user(const pybind11::object& rows) const;
  /// {origin: acknowledgement ids}, of those that have one.
  pybind11::dict ack_ids(const pybind11::object& rows) const;
  /// (m,) whether each message has an acknowledgement id.
  pybind11::array_t<bool> has_ack_id() const;

  EventBatch batch;
  std::vector<pybind11::object> kept;

 private:
  std::vector<std::uint32_t> rows_of(const pybind11::object& rows) const;
};

void define_held_batch(pybind11::module_& module);

}  // namespace user_state
