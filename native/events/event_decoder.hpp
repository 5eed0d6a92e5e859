// Message bodies -> columns of an EventBatch, or for each body that is no event of the spec a reason and the words.
//
// What stands before an event says which schema it was written with (docs/bodies.md):
//
//   single object   C3 01, fingerprint (8 bytes): read whatever the framing, if the fingerprint is known
//   confluent       00, schema id (4 bytes, big-endian)
//   raw             nothing: the event is one of the spec's own schema
//   json            nothing: the event is one of the spec's own schema, as JSON
//
// In Avro an event must be the very bytes that a writer writes, so that what was damaged on its way is found out. First
// all of it is read (`undecodable` if that fails), then each value is held against what an event may have (`invalid`). The
// words say where and why, and never what: details are logged and published, values are users'.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "events/avro_program.hpp"
#include "events/event_batch.hpp"
#include "events/json_reading.hpp"

namespace user_state {

/// Thrown for what is no event.
struct Refused {
  /// As dead letters have it: `undecodable` or `invalid`; or `unknown id`, the detail being a schema id that whoever
  /// asks may know the schema of.
  const char* reason;
  std::string detail;
};

/// Decodes events of one plan, of every schema that they may have been written with.
class EventDecoder {
 public:
  /// What stands before an event that has no single-object header; `kNone` is for bodies that are taken apart before.
  enum class Framing : std::uint8_t { kRaw, kSingleObject, kConfluent, kJson, kNone };
  enum class Check : std::uint8_t { kUser, kId, kTime, kPublished, kText, kItem, kFloat, kInt };
  /// A column of the batch: the user, the event id, the event time, the publish time, then the fields of the plan.
  struct Place {
    /// The event's field; for people.
    std::string name;
    Check check;
    /// Whether an event has a list of such values.
    bool is_list;
  };
  /// What values are held against. Lengths are in bytes of UTF-8; a time's unit is in nanoseconds, 0 for ISO 8601 text.
  struct Limits {
    std::size_t id_bytes, text_bytes;
    std::int64_t first_us, end_us, time_unit_ns, published_unit_ns;
  };
  struct Writer {
    /// C3 01 and the fingerprint, or 00 and the schema id, of JSON too; nothing of JSON alone.
    std::string head;
    /// For people.
    std::string name;
    AvroProgram program;
    /// Whether bodies are JSON.
    bool is_json = false;
  };
  /// What decoding writes on, made once for many events.
  struct Scratch {
    explicit Scratch(std::size_t places) : values(places) {}

    /// Whether a text is gone before the batch is.
    bool has(std::string_view text) const {
      return copies || text.data() == made.data() || (reads_json && json.made.has(text));
    }

    AvroValues values;
    std::string made;
    JsonScratch json;
    bool reads_json = false;
    /// Whether texts are copied into the batch, since the body does not outlive it.
    bool copies = false;
  };

  /// `writers` has the spec's own schema first; `known` lists them for people.
  EventDecoder(std::vector<Place> places, std::vector<Writer> writers, Limits limits, std::string known, Framing framing);
  /// Moved only: `by_head_` looks at `writers_`.
  EventDecoder(EventDecoder&&) = default;

  /// The columns behind the first four.
  const std::vector<EventBatch::Shape>& shapes() const { return shapes_; }
  std::size_t places() const { return places_.size(); }

  /// The writer of a body, whose head is cut off; throws Refused if it is none of those known.
  const Writer& writer_of(std::string_view head, std::string_view& body) const;

  /// Appends a message's event to a batch of `shapes`, or throws Refused; the message's memory has to outlive the batch.
  void decode(const Message& message, EventBatch& batch, Scratch& scratch) const {
    decode(message, message.head, message.body, batch, scratch);
  }
  /// The same of a message whose body was unpacked to `body`.
  void decode(const Message& message, std::string_view head, std::string_view body, EventBatch& batch,
              Scratch& scratch) const;

  /// Appends an event of which somebody else has read `scratch.values`, as `decode`.
  void add(const Message& message, EventBatch& batch, Scratch& scratch) const;

  /// What is refused of a body that cannot be read.
  static Refused undecodable(const Writer& writer, std::size_t bytes, const Unreadable& unreadable);
  static Refused left_over(const Writer& writer, std::size_t bytes, std::size_t left);
  /// The same of one that may have been taken for an event alone though a fingerprint stands before it.
  Refused instead_of(const Refused& refused, std::string_view head, std::string_view body) const;

 private:
  struct Cell {
    std::int64_t integer;
    double real;
    std::string_view text;
  };

  const Writer* of_head(std::string_view head) const;
  Refused unknown(std::string_view head) const;
  [[noreturn]] void invalid(std::size_t place, std::string_view expected, const std::string& got) const;
  std::string_view identifier(std::size_t place, const AvroValue& value, std::string& made) const;
  std::int64_t time_of(std::size_t place, const AvroValue& value, std::int64_t unit_ns) const;
  Cell checked(std::size_t place, const AvroValue& value, std::string& made) const;
  void check(std::size_t place, const AvroValues& values, std::string& made) const;
  void append(EventBatch& batch, EventBatch::Field& field, const Cell& cell, const Scratch& scratch) const;

  std::vector<Place> places_;
  std::vector<EventBatch::Shape> shapes_;
  std::vector<Writer> writers_;
  std::unordered_map<std::string_view, std::size_t> by_head_;
  Limits limits_;
  std::string known_;
  Framing framing_;
  /// Whether an event alone may begin with the bytes C3 01.
  bool may_begin_so_ = false;
};

}  // namespace user_state
