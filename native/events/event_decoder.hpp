// Message bodies -> columns of an EventBatch, or for each body that is no event of the spec a reason and the words.
//
// A body is Avro's single-object encoding (C3 01, schema fingerprint, event) or the event alone, which is then one of
// the spec's own schema. An event must be the very bytes that a writer writes, so that what was damaged on its way is
// found out. First all of it is read (`undecodable` if that fails), then each value is held against what an event may
// have (`invalid`). The words say where and why, and never what: details are logged and published, values are users'.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "events/event_batch.hpp"
#include "events/flat_value.hpp"

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
  enum class Check : std::uint8_t { kUser, kId, kTime, kPublished, kText, kItem, kFloat, kInt, kMillis };
  /// A column of the batch: the user, the event id, the event time, the publish time, then the fields of the plan.
  struct Place {
    /// The event's field; for people.
    std::string name;
    Check check;
  };
  /// What values are held against. Lengths are in bytes of UTF-8, units in microseconds.
  struct Limits {
    std::size_t id_bytes, text_bytes;
    std::int64_t first_us, end_us, time_unit_us, published_unit_us;
  };
  struct Field {
    /// As the writer calls it; for people.
    std::string name;
    /// As the spec's schema calls it; empty for one that is read over.
    std::string read_as;
    FlatType type;
    std::vector<std::size_t> places;
  };
  /// A value that stands for a field that the writer does not have.
  struct Default {
    std::string name;
    AvroValue value;
    /// What `value` looks at, if it is text.
    std::string text;
    std::vector<std::size_t> places;
  };
  struct Writer {
    /// C3 01 and the fingerprint.
    std::string head;
    /// For people.
    std::string name;
    /// False where events have to be read by somebody else: see `add`.
    bool is_flat;
    std::vector<Field> fields;
    std::vector<Default> defaults;
  };

  /// `writers` has the spec's own schema first; `known` lists all of them for people.
  EventDecoder(std::vector<Place> places, std::vector<Writer> writers, Limits limits, std::string known);

  /// The kinds of the columns behind the first four.
  const std::vector<Kind>& kinds() const { return kinds_; }
  std::size_t places() const { return places_.size(); }

  /// The writer of a body, whose head is cut off; throws Refused if it is none of those known.
  const Writer& writer_of(std::string_view head, std::string_view& body) const;

  /// Appends a message's event to a batch of `kinds`, or throws Refused; the message's memory has to outlive the batch.
  void decode(const Message& message, EventBatch& batch) const;

  /// Appends an event of which somebody else has read the values, one a place, as `decode`.
  void add(const Message& message, std::span<const AvroValue> values, EventBatch& batch) const;

  /// Reads all fields of an event: `taken` is called with the index of a field of `fields`, and its value.
  template <class Taken>
  static void read(const Writer& writer, std::string_view body, Taken taken);

 private:
  struct Cell {
    std::int64_t integer;
    double real;
    std::string_view text;
  };

  [[noreturn]] void invalid(std::size_t place, std::string_view expected, const std::string& got) const;
  std::string_view identifier(std::size_t place, const AvroValue& value) const;
  std::int64_t time_of(std::size_t place, const AvroValue& value, std::int64_t unit_us) const;
  Cell checked(std::size_t place, const AvroValue& value) const;

  std::vector<Place> places_;
  std::vector<Kind> kinds_;
  std::vector<Writer> writers_;
  Limits limits_;
  std::string known_;
};

template <class Taken>
void EventDecoder::read(const Writer& writer, std::string_view body, Taken taken) {
  BodyCursor in(body);
  std::string why;
  std::size_t at = 0;
  for (std::size_t field = 0; field < writer.fields.size(); ++field) {
    at = in.at();
    try {
      taken(field, take_flat_value(writer.fields[field].type, in));
    } catch (const Unreadable& unreadable) {
      why = "field " + writer.fields[field].name + ", at byte " + std::to_string(at) + ": " + unreadable.why;
      break;
    }
  }
  if (why.empty() && in.left() > 0) why = std::to_string(in.left()) + " bytes are left over behind the last field";
  if (why.empty()) return;
  throw Refused{"undecodable",
                "cannot decode " + std::to_string(body.size()) + " bytes as Avro " + writer.name + ": " + why};
}

}  // namespace user_state
