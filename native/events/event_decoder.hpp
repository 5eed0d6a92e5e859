// Message bodies -> columns of an EventBatch, or for each body that is no event of the spec a reason and the words.
//
// A body is Avro's single-object encoding (C3 01, schema fingerprint, event) or the event alone, which is then one of
// the spec's own schema. An event must be the very bytes that a writer writes, so that what was damaged on its way is
// found out. First all of it is read (`undecodable` if that fails), then each value is held against what an event may
// have (`invalid`). The words say where and why, and never what: details are logged and published, values are users'.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "events/avro_program.hpp"
#include "events/event_batch.hpp"

namespace user_state {

/// Thrown for what is no event.
struct Refused {
  /// As dead letters have it: `undecodable` or `invalid`.
  const char* reason;
  std::string detail;
};

/// Decodes events of one plan, of every schema that they may have been written with.
class EventDecoder {
 public:
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
    /// C3 01 and the fingerprint.
    std::string head;
    /// For people.
    std::string name;
    AvroProgram program;
  };
  /// What decoding writes on, made once for many events.
  struct Scratch {
    explicit Scratch(std::size_t places) : values(places) {}

    AvroValues values;
    std::string made;
  };

  /// `writers` has the spec's own schema first; `known` lists all of them for people.
  EventDecoder(std::vector<Place> places, std::vector<Writer> writers, Limits limits, std::string known);

  /// The columns behind the first four.
  const std::vector<EventBatch::Shape>& shapes() const { return shapes_; }
  std::size_t places() const { return places_.size(); }

  /// The writer of a body, whose head is cut off; throws Refused if it is none of those known.
  const Writer& writer_of(std::string_view head, std::string_view& body) const;

  /// Appends a message's event to a batch of `shapes`, or throws Refused; the message's memory has to outlive the batch.
  void decode(const Message& message, EventBatch& batch, Scratch& scratch) const;

  /// Appends an event of which somebody else has read the values, as `decode`.
  void add(const Message& message, const AvroValues& values, EventBatch& batch, std::string& made) const;

  /// What is refused of a body that cannot be read.
  static Refused undecodable(const Writer& writer, std::size_t bytes, const Unreadable& unreadable);
  static Refused left_over(const Writer& writer, std::size_t bytes, std::size_t left);

 private:
  struct Cell {
    std::int64_t integer;
    double real;
    std::string_view text;
  };

  [[noreturn]] void invalid(std::size_t place, std::string_view expected, const std::string& got) const;
  std::string_view identifier(std::size_t place, const AvroValue& value, std::string& made) const;
  std::int64_t time_of(std::size_t place, const AvroValue& value, std::int64_t unit_ns) const;
  Cell checked(std::size_t place, const AvroValue& value, std::string& made) const;
  void check(std::size_t place, const AvroValues& values, std::string& made) const;
  void append(EventBatch& batch, EventBatch::Field& field, const Cell& cell, const std::string& made) const;

  std::vector<Place> places_;
  std::vector<EventBatch::Shape> shapes_;
  std::vector<Writer> writers_;
  Limits limits_;
  std::string known_;
};

}  // namespace user_state
