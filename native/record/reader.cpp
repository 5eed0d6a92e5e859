#include "record/reader.hpp"

#include "codec/dictionary.hpp"

namespace user_state::reading {

Envelope open_migrated(const Program& program, Folder& folder, std::string_view& blob, Buffer& migrated,
                       std::optional<std::int64_t> at_us) {
  Envelope envelope = open_record(blob);
  if (at_us) refuse_earlier(envelope, folder.skew_us(envelope.layout), *at_us);
  if (envelope.layout != program.layout) {
    migrated.clear();
    folder.migrate(blob, migrated);
    blob = migrated.view();
    envelope = open_record(blob);
  }
  envelope.fill(folder.blanks());
  return envelope;
}

std::size_t take_strings(std::string_view bytes, std::string& texts, std::vector<std::uint16_t>& lengths) {
  DictionaryColumns<Stored> dictionary = read_dictionary(bytes);
  texts.append(texts_of(dictionary));
  std::size_t listed = lengths.size();
  lengths.resize(listed + dictionary.strings);
  if (dictionary.strings > 0) {
    std::string_view stored = dictionary.lengths.bytes(0, dictionary.strings);
    std::memcpy(lengths.data() + listed, stored.data(), stored.size());
  }
  return dictionary.strings;
}

RecordReader::RecordReader(const Program& program) : program_(program), strings_(program.whole) {
  for (std::size_t at = 0; at < kFamilies.size(); ++at) {
    const FamilyEntry& family = kFamilies[at];
    bool asked = program.whole || family.is_asked(program), held = family.in_program(program);
    idle_[at + 1] = !held;
    if (held && asked) parts_[at + 1] = family.make_part(program);
    strings_ |= family.names_strings && asked;
  }
}

void RecordReader::begin(Outputs& out, Folder& folder) {
  out_ = &out;
  folder_ = &folder;
  std::ranges::copy(folder.blanks(), blank_.sections.begin());
}

void RecordReader::set_time(std::int64_t at_us) {
  at_us_ = at_us;
  for (const auto& part : parts_) {
    if (part) part->set_time(at_us);
  }
}

std::optional<RecordError> RecordReader::read(std::size_t at, std::string_view blob) {
  std::size_t texts = out_->texts.size(), lengths = out_->text_lengths.size();
  std::optional<RecordError> wrong;
  if (blob.data() != nullptr) {
    try {
      read_record(at, blob);
      out_->status[at] = Status::kRead;
      return wrong;
    } catch (RecordError& error) {
      wrong = std::move(error);
      has_refused_ |= wrong->kind == RecordError::Kind::kCorrupt;
      out_->texts.resize(texts);
      out_->text_lengths.resize(lengths);
    }
  }
  Row row{at, *out_, out_->values + at * static_cast<std::size_t>(program_.columns)};
  read_sections(row, blank_, {});
  out_->last_event_us[at] = 0;
  out_->status[at] = wrong ? Status::kRefused : Status::kAbsent;
  return wrong;
}

void RecordReader::read(std::size_t at, const OpenRecord& record) {
  Envelope envelope = record.envelope;
  envelope.fill(folder_->blanks());
  Row row{at, *out_, out_->values + at * static_cast<std::size_t>(program_.columns)};
  read_sections(row, envelope, record.bytes.view(), folder_);
  out_->last_event_us[at] = envelope.longs[Envelope::kLastEvent];
  out_->status[at] = Status::kRead;
}

void RecordReader::read_record(std::size_t at, std::string_view blob) {
  Envelope envelope = open_migrated(program_, *folder_, blob, migrated_, at_us_);
  Row row{at, *out_, out_->values + at * static_cast<std::size_t>(program_.columns)};
  read_sections(row, envelope, blob);
  out_->last_event_us[at] = envelope.longs[Envelope::kLastEvent];
}

void RecordReader::read_sections(Row& row, const Envelope& envelope, std::string_view blob, const Folder* open) {
  std::size_t at = 0;
  try {
    if (strings_) {
      row.first_code = static_cast<std::int64_t>(out_->text_lengths.size());
      row.first_text = out_->texts.size();
      row.strings = take_strings(envelope.sections[0], out_->texts, out_->text_lengths);
    }
    for (at = 1; at < kSections; ++at) {
      const Family* family = open != nullptr ? open->open(at - 1) : nullptr;
      if (parts_[at] && family != nullptr) {
        parts_[at]->read(*family, row);
      } else if (parts_[at]) {
        parts_[at]->read(Reader(envelope.sections[at]), row);
      } else if (idle_[at]) {
        need(envelope.sections[at].empty(), "state of which the record's layout has none");
      }
    }
  } catch (const Corrupt& corrupt) {
    refuse_section(corrupt, blob, at, envelope.sections[at]);
  }
}

}  // namespace user_state::reading
