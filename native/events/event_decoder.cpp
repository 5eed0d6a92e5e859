#include "events/event_decoder.hpp"

#include <array>
#include <cmath>
#include <limits>

#include "codec/xxh64.hpp"

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
    case EventDecoder::Check::kInt:
    case EventDecoder::Check::kMillis: return Kind::kInt;
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
    case Is::kOther: break;
  }
  return "a value of another type";
}

std::string in_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  for (char one : bytes) {
    auto byte = static_cast<std::uint8_t>(one);
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace

EventDecoder::EventDecoder(std::vector<Place> places, std::vector<Writer> writers, Limits limits, std::string known)
    : places_(std::move(places)), writers_(std::move(writers)), limits_(limits), known_(std::move(known)) {
  constexpr Check kFirst[] = {Check::kUser, Check::kId, Check::kTime, Check::kPublished};
  need(!writers_.empty() && places_.size() >= kFixed);
  for (std::size_t at = 0; at < kFixed; ++at) need(places_[at].check == kFirst[at]);
  for (std::size_t at = kFixed; at < places_.size(); ++at) kinds_.push_back(kind_of(places_[at].check));
  for (Writer& writer : writers_) {
    need(writer.head.size() == kHead && writer.head.starts_with(kSingleObject));
    for (const Field& field : writer.fields) {
      for (std::size_t place : field.places) need(place < places_.size());
    }
    for (Default& one : writer.defaults) {
      for (std::size_t place : one.places) need(place < places_.size());
      one.value.text = one.text;
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
  throw Refused{"undecodable", "expected one of the event schemas that the spec names: " + known_ + "; got fingerprint " +
                                   in_hex(head.substr(kSingleObject.size())) +
                                   ", of a schema to be added to `versions:`, or of other events"};
}

void EventDecoder::decode(const Message& message, EventBatch& batch) const {
  std::string_view body = message.body;
  const Writer& writer = writer_of(message.head, body);
  constexpr std::size_t kUsual = 32;
  std::array<AvroValue, kUsual> few;
  std::vector<AvroValue> many;
  if (places_.size() > kUsual) many.resize(places_.size());
  std::span<AvroValue> values = many.empty() ? std::span(few).first(places_.size()) : std::span(many);
  read(writer, body, [&](std::size_t field, const AvroValue& value) {
    for (std::size_t place : writer.fields[field].places) values[place] = value;
  });
  for (const Default& one : writer.defaults) {
    for (std::size_t place : one.places) values[place] = one.value;
  }
  add(message, values, batch);
}

void EventDecoder::add(const Message& message, std::span<const AvroValue> values, EventBatch& batch) const {
  std::string_view user = identifier(kUser, values[kUser]), id = identifier(kId, values[kId]);
  std::int64_t time_us = time_of(kTime, values[kTime], limits_.time_unit_us), published_us = message.publish_us;
  if (published_us == kNullInt) {
    const AvroValue& own = values[kPublished];
    published_us = own.is == AvroValue::Is::kNull ? time_us : time_of(kPublished, own, limits_.published_unit_us);
  }
  // All are checked before the first is put.
  for (std::size_t place = kFixed; place < places_.size(); ++place) checked(place, values[place]);
  batch.user.push_back(batch.users.code_of(user));
  batch.id_hash.push_back(xxh64(id, 0));
  batch.time_us.push_back(time_us);
  batch.published_us.push_back(published_us);
  for (std::size_t place = kFixed; place < places_.size(); ++place) {
    Cell cell = checked(place, values[place]);
    EventBatch::Field& field = batch.fields[place - kFixed];
    switch (field.kind) {
      case Kind::kFloat: field.doubles.push_back(cell.real); break;
      case Kind::kString: field.integers.push_back(cell.integer == kNullCode ? kNullCode : batch.texts.code_of(cell.text)); break;
      default: field.integers.push_back(cell.integer);
    }
  }
  batch.messages.push_back(message);
}

void EventDecoder::invalid(std::size_t place, std::string_view expected, const std::string& got) const {
  throw Refused{"invalid", "expected " + places_[place].name + std::string(expected) + ", got " + got};
}

std::string_view EventDecoder::identifier(std::size_t place, const AvroValue& value) const {
  if (value.is != AvroValue::Is::kText || value.text.empty() || value.text.size() > limits_.id_bytes) {
    invalid(place, " of 1 to " + std::to_string(limits_.id_bytes) + " bytes", in_words(value));
  }
  return value.text;
}

std::int64_t EventDecoder::time_of(std::size_t place, const AvroValue& value, std::int64_t unit_us) const {
  constexpr std::string_view kExpected = " between 1971 and 2100";
  if (value.is != AvroValue::Is::kInteger) invalid(place, kExpected, in_words(value));
  std::int64_t time_us = 0;
  bool overflows = __builtin_mul_overflow(value.integer, unit_us, &time_us);
  if (overflows ? value.integer < 0 : time_us < limits_.first_us) invalid(place, kExpected, "an earlier time; is it in the unit that the schema says?");
  if (overflows || time_us >= limits_.end_us) invalid(place, kExpected, "a later time");
  return time_us;
}

/// The value as it stands in the batch; of a text only whether it is null, since its code is not known yet.
EventDecoder::Cell EventDecoder::checked(std::size_t place, const AvroValue& value) const {
  using Is = AvroValue::Is;
  Check check = places_[place].check;
  if (value.is == Is::kNull) {
    bool is_text = check == Check::kText || check == Check::kItem;
    return {is_text ? kNullCode : kNullInt, std::numeric_limits<double>::quiet_NaN(), {}};
  }
  switch (check) {
    case Check::kItem:
      if (value.is == Is::kText && value.text.empty()) {
        invalid(place, " to be null or of at least 1 byte, since it names items", "an empty text");
      }
      [[fallthrough]];
    case Check::kText:
      if (value.is != Is::kText) invalid(place, " to be a text", in_words(value));
      if (value.text.size() > limits_.text_bytes) {
        invalid(place, " of at most " + std::to_string(limits_.text_bytes) + " bytes", in_words(value));
      }
      return {0, 0, value.text};
    case Check::kFloat:
      if (value.is == Is::kInteger || value.is == Is::kBoolean) return {0, static_cast<double>(value.integer), {}};
      if (value.is != Is::kReal) invalid(place, " to be a finite number", in_words(value));
      if (!std::isfinite(value.real)) {
        invalid(place, " to be a finite number", std::isnan(value.real) ? "nan" : "an infinite one");
      }
      return {0, value.real, {}};
    case Check::kInt:
    case Check::kMillis: {
      if (value.is != Is::kInteger && value.is != Is::kBoolean) invalid(place, " to be a whole number", in_words(value));
      std::int64_t number = value.integer;
      if (check == Check::kMillis && __builtin_mul_overflow(value.integer, 1000, &number)) {
        invalid(place, " in milliseconds that fit 64 bits as microseconds", "more");
      }
      if (number == kLeast) invalid(place, " above " + std::to_string(kLeast), "just that");
      return {number, 0, {}};
    }
    default: throw Corrupt{};
  }
}

}  // namespace user_state
