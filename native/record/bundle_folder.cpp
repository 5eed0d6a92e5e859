#include "record/bundle_folder.hpp"

#include <algorithm>

namespace user_state {

namespace {

constexpr std::size_t kCountBytes = 4;
constexpr std::int64_t kMostCounted = (std::int64_t{1} << 32) - 1;

std::string with_commas(std::size_t number) {
  std::string made = std::to_string(number);
  for (std::size_t at = made.size(); at > 3;) made.insert(at -= 3, ",");
  return made;
}

RecordError invalid_ids(const Corrupt& corrupt, std::string_view ids) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string first;
  if (!ids.empty()) {
    auto byte = static_cast<std::uint8_t>(ids[0]);
    first = {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return {RecordError::Kind::kCorrupt, "invalid remembered ids: " + std::string(corrupt.what) + " (" +
                                           std::to_string(ids.size()) + " bytes beginning '" + first + "')"};
}

}  // namespace

FoldedUser BundleFolder::fold(std::size_t user, const StoredUser& held, std::string_view chance, Outcome* outcome,
                              Buffer& out) {
  StoredUser stored = held;
  FoldedUser made;
  auto rows = events_.rows_of(user);
  auto refuse_all = [&](RecordError error) {
    for (std::uint32_t row : rows) outcome[row] = Outcome::kBadRecord;
    made.error = std::move(error);
    return made;
  };
  Envelope envelope;
  try {
    envelope = folder_.opened(stored.record);
  } catch (RecordError& error) {
    return refuse_all(std::move(error));
  }
  std::int64_t& horizon_us = envelope.longs[Envelope::kHorizon];
  // No event in the record is later than the last.
  if (stored.ids_lost) {
    horizon_us = std::max(horizon_us, std::min(envelope.longs[Envelope::kLastEvent] + 1, kTooLarge - 1));
  }
  Admission::Kept kept{};
  try {
    if (rules_.forgetting) {
      kept = judge_history(envelope, stored, rows, outcome);
    } else {
      kept = admission_.judge({envelope.longs[Envelope::kClock], horizon_us}, stored.ids, arrived_, rows, outcome);
    }
  } catch (const Corrupt& corrupt) {
    return refuse_all(invalid_ids(corrupt, *stored.ids));
  }
  made.is_shortened = kept.shortened;
  applied_.clear();
  for (std::uint32_t row : rows) {
    if (outcome[row] == Outcome::kApplied) applied_.push_back(row);
  }
  if (!applied_.empty()) {
    try {
      fold_applied(envelope, stored, kept, chance, made, out);
    } catch (RecordError& error) {
      if (error.kind != RecordError::Kind::kTooLarge) return refuse_all(std::move(error));
      for (std::uint32_t row : applied_) outcome[row] = Outcome::kOversized;
      made.error = std::move(error);
    }
  }
  if (stored.is_due && made.record_bytes == 0 && stored.record.data() != nullptr) {
    // As it was, but for a horizon that was closed.
    constexpr std::string_view kNoIds("\1", 1);
    std::size_t begin = out.size();
    envelope.version = version_after(envelope, envelope.longs[Envelope::kApplied], chance);
    put_record_again(out, envelope);
    made.record_bytes = out.size() - begin;
    Writer(out).bytes(stored.ids.value_or(kNoIds));
    made.ids_bytes = out.size() - begin - made.record_bytes;
    made.last_event_us = envelope.longs[Envelope::kLastEvent];
  }
  return made;
}

Admission::Kept BundleFolder::judge_history(Envelope& envelope, StoredUser& stored, std::span<const std::uint32_t>& rows,
                                            Outcome* outcome) {
  Admission::Kept kept{};
  // Twice as many at once as long as nothing is forgotten: the time is linear in the rows, however often that happens.
  for (std::size_t most = Forgetting::kFirstJudged;;) {
    auto some = rows.first(std::min(most, rows.size()));
    std::optional<std::int64_t> last_us;
    if (stored.record.data() != nullptr) last_us = envelope.longs[Envelope::kLastEvent];
    Admission::Head head{envelope.longs[Envelope::kClock], envelope.longs[Envelope::kHorizon]};
    kept = admission_.judge(head, stored.ids, arrived_, some, outcome);
    std::size_t first = rules_.forgetting->first(last_us, arrived_, some, outcome);
    if (first < some.size()) {
      for (std::uint32_t row : some.first(first)) {
        if (outcome[row] == Outcome::kApplied) outcome[row] = Outcome::kForgotten;
      }
      stored = {};
      envelope = folder_.opened(stored.record);
      rows = rows.subspan(first);
      most = Forgetting::kFirstJudged;
    } else if (some.size() == rows.size()) {
      return kept;
    } else {
      most *= 2;
    }
  }
}

void BundleFolder::fold_applied(const Envelope& envelope, const StoredUser& stored, const Admission::Kept& kept,
                                std::string_view chance, FoldedUser& made, Buffer& out) {
  std::size_t begin = out.size();
  std::int64_t events = envelope.longs[Envelope::kApplied] + static_cast<std::int64_t>(applied_.size());
  folder_.fold(envelope, stored.record, events_, applied_, kept.horizon_us, version_after(envelope, events, chance), out);
  std::size_t size = out.size() - begin;
  if (size > rules_.most_bytes) {
    out.cut(begin);
    throw RecordError{RecordError::Kind::kTooLarge, "the record would take " + with_commas(size) +
                                                        " bytes, more than max_record, " + with_commas(rules_.most_bytes)};
  }
  made.record_bytes = size;
  Writer(out).bytes(kept.seen);
  made.ids_bytes = kept.seen.size();
  made.last_event_us = envelope.longs[Envelope::kLastEvent];
  for (std::uint32_t row : applied_) made.last_event_us = std::max(made.last_event_us, arrived_.time_us[row]);
}

std::string_view BundleFolder::version_after(const Envelope& envelope, std::int64_t events, std::string_view chance) {
  std::uint32_t count = static_cast<std::uint32_t>(std::min(events, kMostCounted));
  if (!rules_.counts_events) {
    count = 1;
    if (!envelope.version.empty()) {
      count = 0;
      for (char byte : envelope.version.substr(0, kCountBytes)) count = count << 8 | static_cast<std::uint8_t>(byte);
      ++count;
    }
  }
  version_.clear();
  // Big-endian, so that Redis can compare them as strings.
  for (int shift = 24; shift >= 0; shift -= 8) version_.push_back(static_cast<char>(count >> shift));
  version_.append(chance);
  return version_;
}

}  // namespace user_state
