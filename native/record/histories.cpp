#include "record/histories.hpp"

#include <limits>

#include "codec/optional_parts.hpp"
#include "codec/steps.hpp"

namespace user_state::reading {

namespace {

/// Where the sections stand that are read here (codec/sections.py).
constexpr std::size_t kDictionary = 0, kLogs = 2, kVectors = 4;
constexpr double kMostWeight = 1e30, kRoom = 1.01;

}  // namespace

Histories::Histories(const Program& program, const std::vector<std::size_t>& chosen, std::size_t records)
    : program_(program), stored_(program.logs) {
  status.reserve(records);
  for (std::size_t log : chosen) {
    History& history = logs.emplace_back(History{log, program.logs.at(log), {0}, {}, {}, {}});
    history.columns.resize(history.kinds.size());
  }
}

void Histories::read(std::string_view blob) {
  if (blob.data() == nullptr) return end(Status::kAbsent);
  try {
    Opened opened = open_record(program_, blob);
    read(&opened);
  } catch (const Declined&) {
    end(Status::kDeclined);
  }
}

void Histories::read(const Opened* opened) {
  if (opened == nullptr) return end(Status::kAbsent);
  std::size_t size = texts.size(), strings = text_lengths.size();
  try {
    take(*opened);
    end(Status::kRead);
  } catch (const Declined&) {
    texts.resize(size);
    text_lengths.resize(strings);
    end(Status::kDeclined);
  }
}

void Histories::end(Status found) {
  status.push_back(found);
  for (History& history : logs) history.begins.push_back(static_cast<std::int64_t>(history.time_us.size()));
}

void Histories::take(const Opened& opened) {
  if (logs.empty()) return;
  auto first_code = static_cast<std::int64_t>(text_lengths.size());
  std::size_t strings = take_strings(opened.sections[kDictionary], texts, text_lengths);
  // Nothing is put before all of it is known to be sound.
  stored_.take(Reader(opened.sections[kLogs]), strings);
  for (History& history : logs) put(history, first_code);
}

void Histories::put(History& history, std::int64_t first_code) const {
  std::size_t log = history.log;
  for (std::size_t row = 0; row < stored_.size(log); ++row) {
    history.time_us.push_back(stored_.time_us(log, row));
    history.tie.push_back(stored_.tie(log, row));
  }
  for (std::size_t column = 0; column < history.columns.size(); ++column) {
    bool text = history.kinds[column] == LogKind::kText;
    std::vector<std::int64_t>& to = history.columns[column];
    stored_.each_cell(log, column, [&](std::int64_t cell) {
      to.push_back(!text ? cell : cell == 0 ? kNullText : first_code + cell - 1);
    });
  }
}

StoredSums::StoredSums(const Program& program, std::size_t part) : program_(program), part_(part) {
  (void)program.vector_parts.at(part);
}

Status StoredSums::read(std::size_t record, std::string_view blob, std::int64_t* time_us, double* weights,
                        double* sums) {
  if (blob.data() == nullptr) return Status::kAbsent;
  try {
    take(record, blob, time_us, weights, sums);
    return Status::kRead;
  } catch (const Declined&) {
    return Status::kDeclined;
  }
}

void StoredSums::take(std::size_t record, std::string_view blob, std::int64_t* time_us, double* weights,
                      double* sums) {
  Opened opened = open_record(program_, blob);
  Reader in(opened.sections[kVectors]);
  for (std::size_t part = 0; part <= part_; ++part) {
    if (!take_mark(in)) continue;
    const VectorPart& shape = program_.vector_parts[part];
    std::size_t half_lives = shape.half_lives_us.size(), dimensions = static_cast<std::size_t>(shape.dimensions);
    std::int64_t seen_us = take_time(in);
    auto stored = in.packed<double>(half_lives), largest = in.packed<double>(half_lives);
    components_.clear();
    for (std::size_t at = 0; at < half_lives; ++at) {
      need(stored[at] >= 0 && stored[at] <= kMostWeight);
      need(largest[at] >= 0 && largest[at] <= std::numeric_limits<double>::max());
      auto take_steps = shape.component_bytes == 2 ? steps::take<std::int16_t> : steps::take<std::int32_t>;
      take_steps(in, dimensions, largest[at], components_);
      // A sum of vectors of length one is no longer than the sum of their weights.
      need(steps::largest_of(std::span(components_).subspan(at * dimensions)) <= kRoom * stored[at]);
    }
    if (part < part_) continue;
    time_us[record] = seen_us;
    for (std::size_t at = 0; at < half_lives; ++at) weights[record * half_lives + at] = stored[at];
    std::copy(components_.begin(), components_.end(), sums + record * half_lives * dimensions);
  }
}

}  // namespace user_state::reading
