#include "events/event_decoder.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <optional>

#include "codec/xxh64.hpp"
#include "events/json_columns.hpp"
#include "events/value_text.hpp"

namespace user_state {

namespace {

constexpr std::string_view kSingleObject = "\xc3\x01";
constexpr std::size_t kHead = 10, kMarker = 2, kIdHead = 5;
constexpr std::size_t kUser = 0, kId = 1, kTime = 2, kPublished = 3, kFixed = 4;
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

Kind kind_of(EventDecoder::Check check) {
  switch (check) {
    case EventDecoder::Check::kText:
    case EventDecoder::Check::kItem: return Kind::kString;
    case EventDecoder::Check::kFloat: return Kind::kFloat;
    case EventDecoder::Check::kInt: return Kind::kInt;
    default: throw Corrupt{};
  }
}

/// What came, as far as it may be told: its type, never itself.
std::string in_words(const AvroValue& value) {
  using Is = AvroValue::Is;
  switch (value.is) {
    case Is::kNull: return "null";
    case Is::kBoolean: return "a boolean";
    case Is::kInteger: return "a whole number";
    case Is::kReal: return "a number with a fraction";
    case Is::kText: return value.text.empty() ? "an empty text" : std::to_string(value.text.size()) + " bytes";
    case Is::kBytes: return "bytes";
    case Is::kUuid: return "a UUID";
    case Is::kDecimal: return "a decimal";
    case Is::kList: return "an array";
    case Is::kOther: break;
  }
  return "a value of another type";
}

/// The text that stands for a value, which may be put together in `made`; nothing for a value that no text stands for.
std::optional<std::string_view> text_of(const AvroValue& value, std::string& made) {
  using Is = AvroValue::Is;
  made.clear();
  switch (value.is) {
    case Is::kText: return value.text;
    case Is::kInteger: put_decimal_digits(value.integer, made); break;
    case Is::kBytes: put_hex(value.text, made); break;
    case Is::kUuid: put_uuid(value.text, made); break;
    default: return std::nullopt;
  }
  return made;
}

/// The code of a text in a table; one that does not outlive the batch is kept.
std::int64_t code_of(StringTable& table, std::string_view text, const EventDecoder::Scratch& scratch,
                     std::deque<std::string>& kept) {
  return scratch.has(text) ? table.code_of_copy(text, kept) : table.code_of(text);
}

/// How the bytes of such values begin.
struct Beginning {
  /// Whether with C3 01: as the length of a text that is a negative number, as the index of a branch or a symbol there is
  /// no such one.
  bool marked;
  /// Whether there are none.
  bool empty = false;
};

Beginning beginning_of(const AvroProgram& program, const AvroNode& node, int levels = 0) {
  using Is = AvroNode::Kind;
  switch (node.kind) {
    case Is::kNull: return {false, true};
    case Is::kBoolean:
    case Is::kString:
    case Is::kBytes:
    case Is::kBytesOfString:
    case Is::kDecimal:
    case Is::kEnum:
    case Is::kUnion:
    case Is::kConstant: return {false};
    case Is::kFixed:
    case Is::kUuid:
    case Is::kFixedDecimal: return {node.size > 0, node.size == 0};
    case Is::kRecord:
      if (levels > kMostLevels) return {true};
      for (std::uint32_t child : node.children) {
        Beginning first = beginning_of(program, program.nodes[child], levels + 1);
        if (!first.empty) return first;
      }
      return {false, true};
    default: return {true};
  }
}

}  // namespace

EventDecoder::EventDecoder(std::vector<Place> places, std::vector<Writer> writers, Limits limits, std::string known,
                           Framing framing)
    : places_(std::move(places)), writers_(std::move(writers)), limits_(limits), known_(std::move(known)), framing_(framing) {
  constexpr Check kFirst[] = {Check::kUser, Check::kId, Check::kTime, Check::kPublished};
  need(!writers_.empty() && places_.size() >= kFixed);
  for (std::size_t at = 0; at < kFixed; ++at) need(places_[at].check == kFirst[at] && !places_[at].is_list);
  for (std::size_t at = kFixed; at < places_.size(); ++at) {
    shapes_.push_back({kind_of(places_[at].check), places_[at].is_list});
  }
  for (const Writer& writer : writers_) {
    need(writer.is_json && writer.head.empty()    ? true
         : writer.head.starts_with(kSingleObject) ? writer.head.size() == kHead && !writer.is_json
                                                  : writer.head.size() == kIdHead && writer.head[0] == 0);
    by_head_.emplace(writer.head, by_head_.size());
    for (const AvroNode& node : writer.program.nodes) {
      for (std::uint32_t place : node.places) need(place < places_.size());
      for (std::uint32_t place : node.beneath) need(place < places_.size());
    }
  }
  need(by_head_.size() == writers_.size() && !writers_.front().is_json);
  need(framing_ != Framing::kJson || of_head({}) != nullptr);
  const AvroProgram& own = writers_.front().program;
  may_begin_so_ = beginning_of(own, own.nodes[own.root]).marked;
}

const EventDecoder::Writer* EventDecoder::of_head(std::string_view head) const {
  // Few are found sooner by looking at each.
  constexpr std::size_t kFew = 8;
  for (std::size_t at = 0; at < std::min(kFew, writers_.size()); ++at) {
    if (writers_[at].head == head) return &writers_[at];
  }
  if (writers_.size() <= kFew) return nullptr;
  auto found = by_head_.find(head);
  return found == by_head_.end() ? nullptr : &writers_[found->second];
}

Refused EventDecoder::unknown(std::string_view head) const {
  std::string got;
  put_hex(head.substr(kMarker), got);
  return {"undecodable", "expected one of the event schemas that the spec names: " + known_ + "; got fingerprint " + got +
                             ", of a schema to be added to `versions:`, or of other events"};
}

const EventDecoder::Writer& EventDecoder::writer_of(std::string_view head, std::string_view& body) const {
  if (!head.empty()) {
    if (const Writer* found = of_head(head)) return *found;
    throw unknown(head);
  }
  if (body.starts_with(kSingleObject)) {
    std::string_view before = body.substr(0, kHead);
    if (const Writer* found = of_head(before)) [[likely]] {
      body.remove_prefix(kHead);
      return *found;
    }
    // No event alone begins like this, unless with a number, a fixed or an array.
    if (framing_ != Framing::kRaw || !may_begin_so_) throw unknown(before);
  }
  switch (framing_) {
    case Framing::kRaw: return writers_.front();
    case Framing::kSingleObject:
      throw Refused{"undecodable", "expected the bytes C3 01 and a schema's fingerprint before the event (`encoding: single_object`)"};
    case Framing::kConfluent: break;
    case Framing::kJson: return *of_head({});
    case Framing::kNone: throw Refused{"undecodable", "expected a body as the spec's `encoding:` says"};
  }
  if (body.size() <= kIdHead || body[0] != 0) {
    throw Refused{"undecodable", "expected a zero byte and a schema id of 4 bytes before the event (`encoding: confluent`)"};
  }
  if (const Writer* found = of_head(body.substr(0, kIdHead))) [[likely]] {
    body.remove_prefix(kIdHead);
    return *found;
  }
  std::uint32_t id = 0;
  for (char byte : body.substr(1, kIdHead - 1)) id = id << 8 | static_cast<unsigned char>(byte);
  throw Refused{"unknown id", std::to_string(id)};
}

Refused EventDecoder::instead_of(const Refused& refused, std::string_view head, std::string_view body) const {
  bool is_marked = head.empty() && body.starts_with(kSingleObject) && of_head(body.substr(0, kHead)) == nullptr;
  return is_marked ? unknown(body.substr(0, kHead)) : refused;
}

Refused EventDecoder::undecodable(const Writer& writer, std::size_t bytes, const Unreadable& unreadable) {
  constexpr std::size_t kMostSaid = 100;
  std::string field = unreadable.field;
  if (field.size() > kMostSaid) field.replace(kMostSaid, std::string::npos, "...");
  if (!field.empty()) field = "field " + field + ", ";
  return {"undecodable", "cannot decode " + std::to_string(bytes) + (writer.is_json ? " bytes as JSON of " : " bytes as Avro ") +
                             writer.name + ": " + field + "at byte " + std::to_string(unreadable.at) + ": " + unreadable.why};
}

Refused EventDecoder::left_over(const Writer& writer, std::size_t bytes, std::size_t left) {
  return {"undecodable", "cannot decode " + std::to_string(bytes) + " bytes as Avro " + writer.name + ": " +
                             std::to_string(left) + " bytes are left over behind the last field"};
}

void EventDecoder::decode(const Message& message, std::string_view head, std::string_view whole, EventBatch& batch,
                          Scratch& scratch) const {
  std::string_view body = whole;
  const Writer& writer = writer_of(head, body);
  scratch.values.clear();
  scratch.reads_json = writer.is_json;
  BodyCursor in(body);
  try {
    if (writer.is_json) {
      JsonColumns columns(writer.program, scratch.values);
      JsonReading(writer.program, body, scratch.json, columns).take();
      add(message, batch, scratch);
      return;
    }
    AvroColumns(writer.program, in, body.size(), scratch.values).take();
  } catch (const Unreadable& unreadable) {
    throw instead_of(undecodable(writer, body.size(), unreadable), head, whole);
  }
  if (in.left() > 0) throw instead_of(left_over(writer, body.size(), in.left()), head, whole);
  add(message, batch, scratch);
}

void EventDecoder::add(const Message& message, EventBatch& batch, Scratch& scratch) const {
  const AvroValues& values = scratch.values;
  std::string& made = scratch.made;
  // All are checked before the first is put.
  identifier(kUser, values.at[kUser], made);
  std::string_view id = identifier(kId, values.at[kId], made);
  std::uint64_t id_hash = xxh64(id, 0);
  std::int64_t time_us = time_of(kTime, values.at[kTime], limits_.time_unit_ns), published_us = message.publish_us;
  if (published_us == kNullInt) {
    const AvroValue& own = values.at[kPublished];
    published_us = own.is == AvroValue::Is::kNull ? time_us : time_of(kPublished, own, limits_.published_unit_ns);
  }
  for (std::size_t place = kFixed; place < places_.size(); ++place) check(place, values, made);
  std::string_view user = identifier(kUser, values.at[kUser], made);
  batch.user.push_back(code_of(batch.users, user, scratch, batch.made));
  batch.id_hash.push_back(id_hash);
  batch.time_us.push_back(time_us);
  batch.published_us.push_back(published_us);
  for (std::size_t place = kFixed; place < places_.size(); ++place) {
    EventBatch::Field& field = batch.fields[place - kFixed];
    if (!field.shape.is_list) {
      append(batch, field, checked(place, values.at[place], made), scratch);
      continue;
    }
    for (const AvroValue& value : values.lists[place]) append(batch, field, checked(place, value, made), scratch);
    field.ends.push_back(static_cast<std::int64_t>(field.size()));
  }
  batch.messages.push_back(message);
}

void EventDecoder::append(EventBatch& batch, EventBatch::Field& field, const Cell& cell, const Scratch& scratch) const {
  switch (field.shape.kind) {
    case Kind::kFloat: field.doubles.push_back(cell.real); break;
    case Kind::kString:
      field.integers.push_back(cell.integer == kNullCode ? kNullCode : code_of(batch.texts, cell.text, scratch, batch.made));
      break;
    default: field.integers.push_back(cell.integer);
  }
}

void EventDecoder::invalid(std::size_t place, std::string_view expected, const std::string& got) const {
  throw Refused{"invalid", "expected " + places_[place].name + std::string(expected) + ", got " + got};
}

std::string_view EventDecoder::identifier(std::size_t place, const AvroValue& value, std::string& made) const {
  if (value.is == AvroValue::Is::kText && !value.text.empty() && value.text.size() <= limits_.id_bytes) [[likely]] {
    return value.text;
  }
  std::optional<std::string_view> text = text_of(value, made);
  if (!text || text->empty() || text->size() > limits_.id_bytes) {
    std::string got = text && value.is != AvroValue::Is::kText ? std::to_string(text->size()) + " of them in hexadecimal" : in_words(value);
    invalid(place, " of 1 to " + std::to_string(limits_.id_bytes) + " bytes", got);
  }
  return *text;
}

std::int64_t EventDecoder::time_of(std::size_t place, const AvroValue& value, std::int64_t unit_ns) const {
  constexpr std::string_view kExpected = " between 1971 and 2100";
  constexpr std::int64_t kNanosAMicro = 1000;
  std::int64_t time_us = 0;
  bool overflows = false;
  if (unit_ns == 0) {
    constexpr std::string_view kText = " as a time in ISO 8601, such as 2026-01-31T12:00:00Z";
    if (value.is != AvroValue::Is::kText) invalid(place, kText, in_words(value));
    std::optional<std::int64_t> read = microseconds_of(value.text);
    if (!read) invalid(place, kText, "a text that is none");
    time_us = *read;
  } else {
    if (value.is != AvroValue::Is::kInteger) invalid(place, kExpected, in_words(value));
    if (unit_ns >= kNanosAMicro) {
      overflows = __builtin_mul_overflow(value.integer, unit_ns / kNanosAMicro, &time_us);
    } else {
      time_us = floor_div(value.integer, kNanosAMicro / unit_ns);
    }
  }
  if (overflows ? value.integer < 0 : time_us < limits_.first_us) {
    invalid(place, kExpected, unit_ns == 0 ? "an earlier time" : "an earlier time; is it in the unit that the schema says?");
  }
  if (overflows || time_us >= limits_.end_us) invalid(place, kExpected, "a later time");
  return time_us;
}

void EventDecoder::check(std::size_t place, const AvroValues& values, std::string& made) const {
  const AvroValue& value = values.at[place];
  if (!places_[place].is_list) {
    checked(place, value, made);
    return;
  }
  if (value.is != AvroValue::Is::kNull && value.is != AvroValue::Is::kList) invalid(place, " to be an array", in_words(value));
  for (const AvroValue& item : values.lists[place]) checked(place, item, made);
}

/// The value as it stands in the batch; of a text only whether it is null, since its code is not known yet.
EventDecoder::Cell EventDecoder::checked(std::size_t place, const AvroValue& value, std::string& made) const {
  using Is = AvroValue::Is;
  Check check = places_[place].check;
  if (value.is == Is::kNull) {
    bool is_text = check == Check::kText || check == Check::kItem;
    return {is_text ? kNullCode : kNullInt, std::numeric_limits<double>::quiet_NaN(), {}};
  }
  switch (check) {
    case Check::kItem:
    case Check::kText: {
      std::optional<std::string_view> text = text_of(value, made);
      if (!text) invalid(place, " to be a text", in_words(value));
      if (check == Check::kItem && text->empty()) {
        invalid(place, " to be null or of at least 1 byte, since it names items", "an empty text");
      }
      if (text->size() > limits_.text_bytes) {
        invalid(place, " of at most " + std::to_string(limits_.text_bytes) + " bytes", std::to_string(text->size()) + " bytes");
      }
      return {0, 0, *text};
    }
    case Check::kFloat: {
      if (value.is == Is::kInteger || value.is == Is::kBoolean) return {0, static_cast<double>(value.integer), {}};
      if (value.is != Is::kReal && value.is != Is::kDecimal) invalid(place, " to be a finite number", in_words(value));
      double number = value.is == Is::kReal ? value.real : number_of_decimal(value.text, value.integer);
      if (!std::isfinite(number)) {
        invalid(place, " to be a finite number", std::isnan(number) ? "nan" : "an infinite one");
      }
      return {0, number, {}};
    }
    case Check::kInt:
      if (value.is != Is::kInteger && value.is != Is::kBoolean) invalid(place, " to be a whole number", in_words(value));
      if (value.integer == kLeast) invalid(place, " above " + std::to_string(kLeast), "just that");
      return {value.integer, 0, {}};
    default: throw Corrupt{};
  }
}

}  // namespace user_state
