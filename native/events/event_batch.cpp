#include "events/event_batch.hpp"

#include "codec/strings.hpp"

namespace user_state {

namespace {

constexpr std::uint8_t kBatchFormat = 2, kList = 16;
constexpr std::uint64_t kHasPublishTime = 1, kHasAckId = 2;
/// Values of all lists of a column.
constexpr std::size_t kMostListed = 0xFFFFFFFF;

/// Numbers in order of first use, from 0, of those of a table that the chosen rows name.
class Renumbered {
 public:
  explicit Renumbered(std::size_t table) : number_of_(table, kUnused) {}

  std::uint64_t number_of(std::int64_t code) {
    std::uint32_t& number = number_of_[static_cast<std::size_t>(code)];
    if (number == kUnused) {
      number = static_cast<std::uint32_t>(codes_.size());
      codes_.push_back(code);
    }
    return number;
  }
  const std::vector<std::int64_t>& codes() const { return codes_; }

 private:
  static constexpr std::uint32_t kUnused = 0xFFFFFFFF;

  std::vector<std::uint32_t> number_of_;
  std::vector<std::int64_t> codes_;
};

void put_narrow(Writer& out, const std::vector<std::uint64_t>& column) {
  std::uint64_t all = 0;
  for (std::uint64_t number : column) all |= number;
  std::uint8_t width = Writer::width_of(all);
  out.put(width);
  out.narrow(width, column, [](std::uint64_t number) { return number; });
}

/// Takes `size` numbers, of a batch of so many events.
std::vector<std::uint64_t> take_narrow(Reader& in, std::size_t size, std::size_t events) {
  std::vector<std::uint64_t> column;
  // A table has more strings than there are events only if those differ, so that not all of them are empty.
  in.narrow(in.take<std::uint8_t>(), size, events, column);
  return column;
}

/// Puts a table of the strings that `parts_of` calls its argument with, in one or more parts, for each of `rows`.
template <class Rows, class PartsOf>
void put_table(Writer& out, const Rows& rows, PartsOf parts_of) {
  std::vector<std::uint64_t> lengths;
  lengths.reserve(rows.size());
  for (auto row : rows) {
    std::uint64_t length = 0;
    parts_of(row, [&](std::string_view part) { length += part.size(); });
    lengths.push_back(length);
  }
  put_narrow(out, lengths);
  for (auto row : rows) parts_of(row, [&](std::string_view part) { out.bytes(part); });
}

std::vector<std::string_view> take_table(Reader& in, std::size_t size, std::size_t events) {
  std::vector<std::uint64_t> lengths = take_narrow(in, size, events);
  std::vector<std::string_view> strings;
  strings.reserve(size);
  for (std::uint64_t length : lengths) strings.push_back(in.bytes(length));
  return strings;
}

std::vector<std::string_view> take_texts(Reader& in, std::size_t size, std::size_t events) {
  std::vector<std::string_view> texts = take_table(in, size, events);
  for (std::string_view text : texts) need(is_utf8(text));
  return texts;
}

/// Takes `size` numbers, of a batch of so many events, all less than `end`.
std::vector<std::uint64_t> take_numbers(Reader& in, std::size_t size, std::size_t events, std::uint64_t end) {
  std::vector<std::uint64_t> numbers = take_narrow(in, size, events);
  for (std::uint64_t number : numbers) need(number < end);
  return numbers;
}

/// As the bytes of a batch have it.
std::uint8_t byte_of(EventBatch::Shape shape) {
  return static_cast<std::uint8_t>(static_cast<std::uint8_t>(shape.kind) + (shape.is_list ? kList : 0));
}

/// Where the values of the chosen rows lie in a field's columns: the rows themselves, but for lists.
class ChosenValues {
 public:
  ChosenValues(const EventBatch::Field& field, std::span<const std::uint32_t> rows) : values_(rows) {
    if (!field.shape.is_list) return;
    for (std::uint32_t row : rows) {
      lengths_.push_back(static_cast<std::uint64_t>(field.ends[row + 1] - field.ends[row]));
      for (std::int64_t at = field.ends[row]; at < field.ends[row + 1]; ++at) of_lists_.push_back(static_cast<std::uint32_t>(at));
    }
    values_ = of_lists_;
  }
  std::span<const std::uint32_t> values() const { return values_; }
  const std::vector<std::uint64_t>& lengths() const { return lengths_; }

 private:
  std::vector<std::uint64_t> lengths_;
  std::vector<std::uint32_t> of_lists_;
  std::span<const std::uint32_t> values_;
};

}  // namespace

EventBatch::EventBatch(const std::vector<Shape>& shapes) {
  for (Shape shape : shapes) {
    Field& field = fields.emplace_back(Field{shape});
    if (shape.is_list) field.ends.push_back(0);
  }
}

void EventBatch::pack(std::span<const std::uint32_t> rows, Buffer& to) const {
  Writer out(to);
  Renumbered of_users(users.size()), of_texts(texts.size());
  StringTable origins;
  std::vector<std::uint64_t> numbers(rows.size()), of_origins;
  // Numbered first, since the counts stand at the beginning.
  for (std::size_t at = 0; at < rows.size(); ++at) numbers[at] = of_users.number_of(user[rows[at]]);
  std::vector<ChosenValues> chosen;
  std::vector<std::vector<std::uint64_t>> coded;
  chosen.reserve(fields.size());
  for (const Field& field : fields) {
    const ChosenValues& values = chosen.emplace_back(field, rows);
    if (field.shape.kind != Kind::kString) continue;
    std::vector<std::uint64_t>& codes = coded.emplace_back();
    codes.reserve(values.values().size());
    for (std::uint32_t at : values.values()) {
      std::int64_t code = field.integers[at];
      codes.push_back(code == kNullCode ? 0 : of_texts.number_of(code) + 1);
    }
  }
  for (std::uint32_t row : rows) of_origins.push_back(static_cast<std::uint64_t>(origins.code_of(messages[row].origin)));
  out.put(kBatchFormat);
  out.put(static_cast<std::uint8_t>(fields.size()));
  for (std::size_t count : {rows.size(), of_users.codes().size(), of_texts.codes().size(), origins.size()}) {
    out.put(static_cast<std::uint32_t>(count));
  }
  for (const Field& field : fields) out.put(byte_of(field.shape));
  out.column<std::uint64_t>(rows, [&](std::uint32_t row) { return id_hash[row]; });
  out.column<std::int64_t>(rows, [&](std::uint32_t row) { return time_us[row]; });
  out.column<std::int64_t>(rows, [&](std::uint32_t row) { return published_us[row]; });
  put_narrow(out, numbers);
  auto next_coded = coded.begin();
  for (std::size_t at = 0; at < fields.size(); ++at) {
    const Field& field = fields[at];
    std::span<const std::uint32_t> values = chosen[at].values();
    if (field.shape.is_list) put_narrow(out, chosen[at].lengths());
    switch (field.shape.kind) {
      case Kind::kString: put_narrow(out, *next_coded++); break;
      case Kind::kFloat: out.column<double>(values, [&](std::uint32_t value) { return field.doubles[value]; }); break;
      default: out.column<std::int64_t>(values, [&](std::uint32_t value) { return field.integers[value]; });
    }
  }
  auto one = [](auto text_of) { return [text_of](auto row, auto take) { take(text_of(row)); }; };
  put_table(out, of_users.codes(), one([&](std::int64_t code) { return users[code]; }));
  put_table(out, of_texts.codes(), one([&](std::int64_t code) { return texts[code]; }));
  for (std::size_t at = 0; at < rows.size(); ++at) {
    const Message& message = messages[rows[at]];
    numbers[at] = (message.publish_us == kNullInt ? 0 : kHasPublishTime) + (message.has_ack_id ? kHasAckId : 0);
  }
  put_narrow(out, numbers);
  put_narrow(out, of_origins);
  put_table(out, origins.texts(), [](std::string_view origin, auto take) { take(origin); });
  put_table(out, rows, [&](std::uint32_t row, auto take) {
    take(messages[row].head);
    take(messages[row].body);
  });
  put_table(out, rows, one([&](std::uint32_t row) { return messages[row].attributes; }));
  put_table(out, rows, one([&](std::uint32_t row) { return messages[row].ack_id; }));
}

void EventBatch::append(std::string_view packed) {
  Reader in(packed);
  need(in.take<std::uint8_t>() == kBatchFormat && in.take<std::uint8_t>() == fields.size());
  std::size_t counts[4];
  for (std::size_t& count : counts) count = in.take<std::uint32_t>();
  const auto [m, u, t, o] = counts;
  for (const Field& field : fields) need(in.take<std::uint8_t>() == byte_of(field.shape));
  // No table has more than its events can name, so that a count gone bad costs no memory.
  in.column<std::uint64_t>(m, id_hash);
  in.column<std::int64_t>(m, time_us);
  in.column<std::int64_t>(m, published_us);
  need(u <= m && o <= m);
  std::vector<std::uint64_t> of_users = take_numbers(in, m, m, u);
  std::vector<std::vector<std::uint64_t>> coded;
  std::size_t named = 0;
  for (Field& field : fields) {
    std::size_t values = m;
    if (field.shape.is_list) {
      values = 0;
      auto before = static_cast<std::int64_t>(field.size());
      for (std::uint64_t length : take_narrow(in, m, m)) {
        need(length <= kMostListed - values);
        values += length;
        field.ends.push_back(before + static_cast<std::int64_t>(values));
      }
    }
    if (field.shape.kind == Kind::kString) named += values;
    switch (field.shape.kind) {
      case Kind::kString: coded.push_back(take_numbers(in, values, m, t + 1)); break;
      case Kind::kFloat: in.column<double>(values, field.doubles); break;
      default: in.column<std::int64_t>(values, field.integers);
    }
  }
  need(t <= named);
  std::vector<std::int64_t> becomes;
  for (std::string_view text : take_texts(in, u, m)) becomes.push_back(users.code_of(text));
  for (std::uint64_t number : of_users) user.push_back(becomes[number]);
  becomes.assign(1, kNullCode);
  for (std::string_view text : take_texts(in, t, m)) becomes.push_back(texts.code_of(text));
  auto next_coded = coded.begin();
  for (Field& field : fields) {
    if (field.shape.kind != Kind::kString) continue;
    for (std::uint64_t number : *next_coded) field.integers.push_back(becomes[number]);
    ++next_coded;
  }
  std::vector<std::uint64_t> told = take_numbers(in, m, m, kHasPublishTime + kHasAckId + 1);
  std::vector<std::uint64_t> of_origins = take_numbers(in, m, m, o);
  std::vector<std::string_view> origins = take_table(in, o, m), bodies = take_table(in, m, m),
                                attributes = take_table(in, m, m), ack_ids = take_table(in, m, m);
  in.end();
  std::size_t begin = messages.size();
  for (std::size_t at = 0; at < m; ++at) {
    std::int64_t publish_us = (told[at] & kHasPublishTime) != 0 ? published_us[begin + at] : kNullInt;
    messages.push_back({{}, bodies[at], attributes[at], ack_ids[at], publish_us, origins[of_origins[at]],
                        (told[at] & kHasAckId) != 0});
  }
}

Columns EventBatch::columns() const {
  Columns taken;
  taken.users = users.size();
  taken.user = user;
  taken.time_us = time_us;
  taken.published_us = published_us;
  taken.id_hash = id_hash;
  for (const Field& field : fields) {
    const std::int64_t* offsets = field.shape.is_list ? field.ends.data() : nullptr;
    taken.fields.push_back({field.shape.kind, field.integers.data(), field.doubles.data(), offsets});
  }
  taken.texts = texts.texts();
  return taken;
}

}  // namespace user_state
