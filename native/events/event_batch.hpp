// Decoded events as columns, with the messages they came from: what crosses the shuffle, as bytes.
//
// The bytes live between two steps of one running pipeline, and are read by the code that wrote them. Numbers are
// little-endian. `narrow` is a byte for the width, 0, 1, 2, 4 or 8, then a column of numbers of that width, none for
// width 0, which is a column of zeros. `table` is a narrow column of lengths, then the strings, one after the other.
//
//   bytes       what
//   1           format, 2
//   1           f, fields
//   4 4 4 4     m, events; u, users; t, texts; o, origins: each of the three is named by some event, and stands once
//   f           kind of each field: 0 string, 1 float, 2 int or bool; plus 16 where an event has a list of them
//   8 m         xxh64 of the event id
//   8 m         event time, microseconds UTC
//   8 m         publish time by the rules of the spec, microseconds UTC
//   narrow m    user
//   each field  string: narrow m, the text's number from 1, 0 for null
//               float: 8 m, NaN for null
//               int or bool: 8 m, the least 64-bit number for null
//               a list: narrow m, how many each event has, then all of them as above
//   table u     users
//   table t     texts
//   narrow m    the message: 1 where the broker told the publish time, plus 2 where it has an acknowledgement id
//   narrow m    origin
//   table o     origins: subscriptions, files
//   table m     bodies, as they were received
//   table m     attributes, each an Avro map of strings; nothing for none
//   table m     acknowledgement ids; nothing where there is none
//
// Bodies, attributes and ids are opened only for messages that are acknowledged or become dead letters.
#pragma once

#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/bytes.hpp"
#include "events/events.hpp"
#include "events/string_table.hpp"

namespace user_state {

/// A message as it stood on the wire. All views are of memory that its owner keeps.
struct Message {
  /// The body is `head` and then `body`: a file has its events' fingerprint once, not with each of them.
  std::string_view head, body;
  /// As an Avro map of strings; empty for none.
  std::string_view attributes;
  /// Of a message that needs none, `has_ack_id` is false.
  std::string_view ack_id;
  /// Microseconds UTC; kNullInt if the input does not know.
  std::int64_t publish_us = kNullInt;
  std::string_view origin;
  bool has_ack_id = false;
};

/// The views in it are of memory that whoever made it keeps.
class EventBatch {
 public:
  struct Shape {
    Kind kind;
    /// Whether an event has any number of values, of which none is null.
    bool is_list = false;
  };
  struct Field {
    Shape shape;
    /// Of float fields doubles, of others integers, those of strings being codes.
    std::vector<std::int64_t> integers = {};
    std::vector<double> doubles = {};
    /// Of a list, 0, and then for each event where its values end.
    std::vector<std::int64_t> ends = {};

    /// How many values there are.
    std::size_t size() const { return shape.kind == Kind::kFloat ? doubles.size() : integers.size(); }
  };

  explicit EventBatch(const std::vector<Shape>& shapes);

  std::size_t size() const { return user.size(); }

  /// Appends the bytes of the chosen events, in the order given.
  void pack(std::span<const std::uint32_t> rows, Buffer& out) const;

  /// Appends the events of a packed batch of the same fields, whose bytes have to outlive this; throws Corrupt for
  /// bytes that are none, and this is of no use then.
  void append(std::string_view packed);

  /// What a fold looks at; it has to outlive that.
  Columns columns() const;

  StringTable users, texts;
  std::vector<std::int64_t> user, time_us, published_us;
  std::vector<std::uint64_t> id_hash;
  std::vector<Field> fields;
  std::vector<Message> messages;
  /// Users and texts that stand in no message as they are.
  std::deque<std::string> made;
};

}  // namespace user_state
