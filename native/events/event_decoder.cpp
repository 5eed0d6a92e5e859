#include "events/event_decoder.hpp"

#include <cmath>
#include <deque>
#include <limits>
#include <optional>

#include "codec/xxh64.hpp"
#include "events/value_text.hpp"

namespace user_state {

namespace {

constexpr std::string_view kSingleObject = "\xc3\x01";
constexpr std::size_t kHead = 10;
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

/// The code of a text in a table; one that lies in `made` is kept.
std::int64_t code_of(StringTable& table, std::string_view text, const std::string& made, std::deque<std::string>& kept) {
  return text.data() == made.data() ? table.code_of_copy(text, kept) : table.code_of(text);
}

}  // namespace

EventDecoder::EventDecoder(std::vector<Place> places, std::vector<Writer> writers, Limits limits, std::string known)
    : places_(std::move(places)), writers_(std::move(writers)), limits_(limits), known_(std::move(known)) {
  constexpr Check kFirst[] = {Check::kUser, Check::kId, Check::kTime, Check::kPublished};
  need(!writers_.empty() && places_.size() >= kFixed);
  for (std::size_t at = 0; at < kFixed; ++at) need(places_[at].check == kFirst[at] && !places_[at].is_list);
  for (std::size_t at = kFixed; at < places_.size(); ++at) {
    shapes_.push_back({kind_of(places_[at].check), places_[at].is_list});
  }
  for (const Writer& writer : writers_) {
    need(writer.head.size() == kHead && writer.head.starts_with(kSingleObject));
    for (const AvroNode& node : writer.program.nodes) {
      for (std::uint32_t place : node.places) need(place < places_.size());
      for (std::uint32_t place : node.beneath) need(place < places_.size());
    }
  }
}

const EventDecoder::Writer& EventDecoder::writer_of(std::string_view head, std::string_view& body) const {
  if (head.empty()) {
    if (!body.starts_with(kSingleObject)) return writers_.front();
    head = body.substr(0, kHead);
    body.remove_prefix(head.size());
  }
  for (const Writer& writer : writers_) {
    if (writer.head == head) return writer;
  }
  std::string got;
  put_hex(head.substr(kSingleObject.size()), got);
  throw Refused{"undecodable", "expected one of the event schemas that the spec names: " + known_ + "; got fingerprint " +
                                   got + ", of a schema to be added to `versions:`, or of other events"};
}

Refused EventDecoder::undecodable(const Writer& writer, std::size_t bytes, const Unreadable& unreadable) {
  constexpr std::size_t kMostSaid = 100;
  std::string field = unreadable.field;
  if (field.size() > kMostSaid) field.replace(kMostSaid, std::string::npos, "...");
  return {"undecodable", "cannot decode " + std::to_string(bytes) + " bytes as Avro " + writer.name + ": field " +
                             field + ", at byte " + std::to_string(unreadable.at) + ": " + unreadable.why};
}

Refused EventDecoder::left_over(const Writer& writer, std::size_t bytes, std::size_t left) {
  return {"undecodable", "cannot decode " + std::to_string(bytes) + " bytes as Avro " + writer.name + ": " +
                             std::to_string(left) + " bytes are left over behind the last field"};
}

void EventDecoder::decode(const Message& message, EventBatch& batch, Scratch& scratch) const {
  std::string_view body = message.body;
  const Writer& writer = writer_of(message.head, body);
  scratch.values.clear();
  BodyCursor in(body);
  try {
    AvroColumns(writer.program, in, body.size(), scratch.values).take();
  } catch (const Unreadable& unreadable) {
    throw undecodable(writer, body.size(), unreadable);
  }
  if (in.left() > 0) throw left_over(writer, body.size(), in.left());
  add(message, scratch.values, batch, scratch.made);
}

void EventDecoder::add(const Message& message, const AvroValues& values, EventBatch& batch, std::string& made) const {
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
  batch.user.push_back(code_of(batch.users, user, made, batch.made));
  batch.id_hash.push_back(id_hash);
  batch.time_us.push_back(time_us);
  batch.published_us.push_back(published_us);
  for (std::size_t place = kFixed; place < places_.size(); ++place) {
    EventBatch::Field& field = batch.fields[place - kFixed];
    if (!field.shape.is_list) {
      append(batch, field, checked(place, values.at[place], made), made);
      continue;
    }
    for (const AvroValue& value : values.lists[place]) append(batch, field, checked(place, value, made), made);
    field.ends.push_back(static_cast<std::int64_t>(field.size()));
  }
  batch.messages.push_back(message);
}

void EventDecoder::append(EventBatch& batch, EventBatch::Field& field, const Cell& cell, const std::string& made) const {
  switch (field.shape.kind) {
    case Kind::kFloat: field.doubles.push_back(cell.real); break;
    case Kind::kString:
      field.integers.push_back(cell.integer == kNullCode ? kNullCode : code_of(batch.texts, cell.text, made, batch.made));
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
