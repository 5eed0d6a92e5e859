// Messages, their decoder and batches of events, as Python has them (user_state/state/event_batch.py).
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <deque>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "events/event_batch.hpp"
#include "events/event_decoder.hpp"
#include "events/file_block.hpp"

namespace user_state {

/// Messages of one pull, where they lie: in `bytes` of Python's, which are kept.
class MessageList {
 public:
  using Indices = pybind11::array_t<std::int64_t, pybind11::array::c_style | pybind11::array::forcecast>;

  /// Takes tuples `(data, attributes, publish_us, ack_id, origin, ...)`.
  static MessageList of_messages(const pybind11::iterable& messages);
  /// Takes blocks `(bytes, records)` of a file; ValueError for one that is damaged.
  static MessageList of_blocks(const pybind11::iterable& blocks, const FileLayout& layout, const pybind11::bytes& head,
                               const pybind11::str& origin);
  /// Takes messages of other lists, in any order: message `rows[i]` of `lists[which[i]]`; IndexError for one that is not
  /// there, ValueError if there are not as many of either.
  static MessageList chosen(const pybind11::sequence& lists, const Indices& which, const Indices& rows);

  std::size_t size() const { return messages_.size(); }
  const std::vector<Message>& messages() const { return messages_; }
  /// (data, attributes, publish_us, ack_id, origin) of one message.
  pybind11::tuple message(std::size_t at) const;
  /// Returns [(index, name, value)] of the attributes that have one of these names, in lower case, whatever the case of
  /// theirs, and none of the values that each is given with.
  pybind11::list attributes_but(const std::map<std::string, std::set<std::string>>& names) const;

 private:
  std::string_view text_of(pybind11::handle text);
  std::string_view attributes_of(pybind11::handle attributes);

  std::vector<Message> messages_;
  std::vector<pybind11::object> kept_;
  std::deque<std::string> made_;
};

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

void define_event_batches(pybind11::module_& module);

}  // namespace user_state
