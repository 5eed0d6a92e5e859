// Messages of a pull or of a file, as Python has them (user_state/state/event_batch.py).
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "events/event_batch.hpp"
#include "events/file_block.hpp"

namespace user_state {

/// Raises CodecError: these are not the bytes of a batch of this plan.
[[noreturn]] void refuse_damaged();

/// (data, attributes, publish_us, ack_id, origin) of a message.
pybind11::tuple tuple_of(const Message& message);

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

void define_message_list(pybind11::module_& module);

}  // namespace user_state
