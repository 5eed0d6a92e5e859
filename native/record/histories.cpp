#include "record/histories.hpp"

#include <algorithm>
#include <iterator>

namespace user_state::reading {

namespace {

/// Where the sections stand that are read here (families/registry.hpp).
constexpr std::size_t kDictionary = 0, kLogs = 2, kVectors = 4;

}  // namespace

Histories::Histories(const Program& program, Folder& folder, const std::vector<std::size_t>& chosen)
    : program_(program), folder_(folder), cells_(program) {
  for (std::size_t log : chosen) {
    History& history = logs.emplace_back(History{log, program.logs.at(log), {0}, {}, {}, {}});
    history.columns.resize(history.kinds.size());
  }
}

std::optional<RecordError> Histories::read(std::string_view blob, std::optional<std::int64_t> at_us) {
  std::optional<RecordError> wrong;
  if (blob.data() != nullptr) {
    std::size_t size = texts.size(), strings = text_lengths.size();
    try {
      Envelope envelope = open_migrated(program_, folder_, blob, migrated_, at_us);
      take(envelope, blob);
    } catch (RecordError& error) {
      wrong = std::move(error);
      texts.resize(size);
      text_lengths.resize(strings);
    }
  }
  end();
  return wrong;
}

void Histories::read(const OpenRecord& record) {
  Envelope envelope = record.envelope;
  envelope.fill(folder_.blanks());
  take(envelope, record.bytes.view());
  end();
}

void Histories::end() {
  for (History& history : logs) history.begins.push_back(static_cast<std::int64_t>(history.time_us.size()));
}

void Histories::take(const Envelope& envelope, std::string_view blob) {
  if (logs.empty()) return;
  auto first_code = static_cast<std::int64_t>(text_lengths.size());
  std::size_t at = kDictionary;
  try {
    std::size_t strings = take_strings(envelope.sections[at], texts, text_lengths);
    at = kLogs;
    // Nothing is put before all of it is known to be sound.
    cells_.read(Reader(envelope.sections[at]), strings);
  } catch (const Corrupt& corrupt) {
    refuse_section(corrupt, blob, at, envelope.sections[at]);
  }
  for (History& history : logs) put(history, first_code);
}

void Histories::put(History& history, std::int64_t first_code) const {
  std::size_t log = history.log;
  std::size_t rows = cells_.rows(log);
  std::ranges::copy(cells_.times_us(log), std::back_inserter(history.time_us));
  for (std::size_t row = 0; row < rows; ++row) history.tie.push_back(cells_.tie(log, row));
  for (std::size_t column = 0; column < history.columns.size(); ++column) {
    std::vector<std::int64_t>& to = history.columns[column];
    cells_.see_column(log, column, [&](auto cell, auto is_text) {
      for (std::size_t row = 0; row < rows; ++row) {
        auto held = static_cast<std::int64_t>(cell(row));
        to.push_back(!is_text ? held : held == 0 ? kNullText : first_code + held - 1);
      }
    });
  }
}

StoredSums::StoredSums(const Program& program, Folder& folder, std::size_t part)
    : program_(program), folder_(folder), part_(part), stored_(vector_shapes(program.vector_parts)) {
  (void)program.vector_parts.at(part);
}

std::optional<RecordError> StoredSums::read(std::size_t record, std::string_view blob, std::int64_t* time_us,
                                            double* weights, double* sums) {
  if (blob.data() == nullptr) return std::nullopt;
  try {
    Envelope envelope = open_migrated(program_, folder_, blob, migrated_);
    try {
      stored_.read(Reader(envelope.sections[kVectors]));
    } catch (const Corrupt& corrupt) {
      refuse_section(corrupt, blob, kVectors, envelope.sections[kVectors]);
    }
  } catch (RecordError& error) {
    return std::move(error);
  }
  const DecayedSums& one = stored_.vectors[part_];
  time_us[record] = one.time_us;
  std::ranges::copy(one.weights, weights + record * one.weights.size());
  std::ranges::copy(one.sums, sums + record * one.sums.size());
  return std::nullopt;
}

}  // namespace user_state::reading
