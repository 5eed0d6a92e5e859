#include "record/reader.hpp"

#include <bit>

#include "codec/strings.hpp"

namespace user_state::reading {

namespace {

constexpr std::size_t kVersionBytes = 8, kLongs = 4, kLastEvent = 1;

/// Takes an Avro long that is not negative and less than 2^62.
std::int64_t take_long(Reader& in) {
  auto first = in.take<std::uint8_t>();
  std::uint64_t value = first & 0x7Fu;
  for (int shift = 7; first > 0x7F; shift += 7) {
    need(shift <= 56);
    auto byte = in.take<std::uint8_t>();
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte <= 0x7F) break;
  }
  need((value & 1) == 0);
  return static_cast<std::int64_t>(value >> 1);
}

bool is_ascii(std::string_view text) {
  std::uint64_t bits = 0;
  std::size_t at = 0;
  for (; at + sizeof(bits) <= text.size(); at += sizeof(bits)) bits |= load<std::uint64_t>(text.data() + at);
  for (; at < text.size(); ++at) bits |= static_cast<std::uint8_t>(text[at]);
  return (bits & 0x8080808080808080) == 0;
}

/// The first eight bytes as a number that orders as they do; zeros stand behind the end. `left` bytes can be read.
std::uint64_t head_of(std::string_view text, std::size_t left) {
  constexpr std::size_t kHead = sizeof(std::uint64_t);
  std::uint64_t head = 0;
  if (left >= kHead) {  // most strings have others behind them
    head = load<std::uint64_t>(text.data());
  } else {
    std::memcpy(&head, text.data(), text.size());
  }
  if constexpr (std::endian::native == std::endian::little) head = __builtin_bswap64(head);
  if (text.size() >= kHead) return head;
  return text.empty() ? 0 : head & (~std::uint64_t{0} << (8 * (kHead - text.size())));
}

}  // namespace

RecordReader::RecordReader(const Program& program) : program_(program) {
  for (std::size_t at = 0; at < kSections; ++at) blanks_[at] = program.blanks[at];
  const Program& p = program;
  bool all = p.whole;
  auto part = [&](std::size_t at, bool wanted, bool has_pieces, auto make) {
    idle_[at] = !has_pieces;
    if (has_pieces && (wanted || all)) parts_[at] = make(p);
  };
  bool keyed = !p.tables.empty() || !p.entropies.empty();
  bool logged = !p.logged.empty() || !p.log_lists.empty();
  part(1, !p.numbers.empty(), !p.tracks.empty(), make_tiles);
  part(2, logged, !p.logs.empty(), make_logs);
  part(3, !p.decayed.empty(), !p.decay_half_lives_us.empty(), make_decays);
  part(4, !p.vectors.empty(), !p.vector_parts.empty(), make_vectors);
  part(5, !p.last_seen.empty(), !p.last_seen_days.empty(), make_last_seen);
  part(6, !p.profiles.empty(), !p.profile_parts.empty(), make_profiles);
  part(7, !p.sessions.empty(), !p.session_gaps_us.empty(), make_sessions);
  part(8, !p.distinct.empty(), !p.hlls.empty(), make_hlls);
  part(9, !p.quantiles.empty(), !p.kll_ks.empty(), make_klls);
  part(10, keyed, !p.keyed_tracks.empty(), make_keyed_tiles);
  part(11, !p.decayed_tables.empty(), !p.keyed_decays.empty(), make_keyed_decays);
  strings_ = all || keyed || logged || !p.decayed_tables.empty();
}

void RecordReader::set_time(std::int64_t at_us) {
  for (const auto& part : parts_) {
    if (part) part->set_time(at_us);
  }
}

Status RecordReader::read(std::size_t at, std::string_view blob) {
  std::size_t texts = out_->texts.size(), lengths = out_->text_lengths.size();
  Status status = Status::kAbsent;
  if (blob.data() != nullptr) {
    try {
      read_record(at, blob);
      return out_->status[at] = Status::kRead;
    } catch (const Declined&) {
      status = Status::kDeclined;
      has_declined_ = true;
      out_->texts.resize(texts);
      out_->text_lengths.resize(lengths);
    }
  }
  Row row{at, *out_, out_->values + at * static_cast<std::size_t>(program_.columns)};
  read_sections(row, blanks_);
  out_->last_event_us[at] = 0;
  return out_->status[at] = status;
}

void RecordReader::read_record(std::size_t at, std::string_view blob) {
  Reader in(blob);
  need(in.bytes(program_.marker.size()) == program_.marker);
  in.bytes(kVersionBytes);
  need(in.bytes(program_.layout.size()) == program_.layout);
  std::array<std::int64_t, kLongs> longs;
  for (std::int64_t& value : longs) value = take_long(in);
  Sections sections;
  for (std::string_view& section : sections) section = in.bytes(static_cast<std::size_t>(take_long(in)));
  in.end();
  Row row{at, *out_, out_->values + at * static_cast<std::size_t>(program_.columns)};
  read_sections(row, sections);
  out_->last_event_us[at] = longs[kLastEvent];
}

void RecordReader::read_sections(Row& row, const Sections& sections) {
  if (strings_) read_strings(row, sections[0]);
  for (std::size_t at = 1; at < kSections; ++at) {
    if (parts_[at]) {
      parts_[at]->read(Reader(sections[at]), row);
    } else if (idle_[at]) {
      need(sections[at] == blanks_[at]);
    }
  }
}

void RecordReader::read_strings(Row& row, std::string_view dictionary) {
  row.first_code = static_cast<std::int64_t>(out_->text_lengths.size());
  if (dictionary.empty()) return;
  Reader in(dictionary);
  row.strings = in.take<std::uint32_t>();
  need(row.strings > 0);
  auto lengths = in.packed<std::uint16_t>(row.strings);
  std::size_t total = 0;
  for (std::size_t at = 0; at < row.strings; ++at) total += lengths[at];
  need(total == in.left());
  std::string_view texts = in.bytes(total);
  bool ascii = is_ascii(texts);
  std::string_view before;
  std::uint64_t before_head = 0;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < row.strings; ++at) {
    std::string_view text = texts.substr(begin, lengths[at]);
    begin += lengths[at];
    // A string that stood there twice would make one key of two. Most are told apart by how they begin.
    std::uint64_t head = head_of(text, total - begin + lengths[at]);
    need(at == 0 || head > before_head || (head == before_head && before < text));
    need(ascii || is_utf8(text));
    before = text;
    before_head = head;
  }
  out_->texts.append(texts);
  std::size_t listed = out_->text_lengths.size();
  out_->text_lengths.resize(listed + row.strings);
  std::memcpy(out_->text_lengths.data() + listed, lengths.bytes(0, row.strings).data(), row.strings * sizeof(std::uint16_t));
}

}  // namespace user_state::reading
