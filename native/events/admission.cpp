#include "events/admission.hpp"

#include <algorithm>

namespace user_state {

namespace {

constexpr std::uint8_t kSeenFormat = 1;
constexpr std::size_t kBytesAnId = 12;

}  // namespace

void Admission::Ids::clear(std::size_t most) {
  std::size_t slots = std::bit_ceil(2 * most + 1);
  mask_ = slots - 1;
  slots_.assign(slots, {0, State::kFree});
}

Admission::Kept Admission::judge(const Head& head, std::optional<std::string_view> seen, const Arrived& arrived,
                                 std::span<const std::uint32_t> rows, Outcome* outcome) {
  candidates_.clear();
  ids_.clear(rows.size());
  for (std::uint32_t row : rows) {
    std::int64_t time_us = arrived.time_us[row], published_us = arrived.published_us[row];
    if (time_us > published_us + rules_.max_clock_skew_us) {
      outcome[row] = Outcome::kFromFuture;
    } else if (time_us < published_us - rules_.allowed_lateness_us) {
      outcome[row] = Outcome::kTooLate;
    } else {
      candidates_.push_back(row);
      ids_.add(arrived.id_hash[row]);
    }
  }
  read(seen);
  if (!candidates_.empty()) {
    for (std::uint64_t id : seen_ids_) ids_.mark_known(id);
  }
  std::int64_t clock_us = head.clock_us;
  for (std::uint32_t row : candidates_) {
    std::int64_t time_us = arrived.time_us[row];
    bool fresh = ids_.is_new(arrived.id_hash[row]);
    // What is too late by the user's clock was published before it, so that it cannot move it.
    if (fresh && time_us >= head.horizon_us) clock_us = std::max(clock_us, arrived.published_us[row]);
    if (time_us < std::max(clock_us - rules_.allowed_lateness_us, head.horizon_us)) {
      outcome[row] = Outcome::kTooLate;
    } else if (!fresh) {
      outcome[row] = Outcome::kDuplicate;
    } else {
      outcome[row] = Outcome::kApplied;
      ids_.mark_known(arrived.id_hash[row]);
      seen_ids_.push_back(arrived.id_hash[row]);
      seen_seconds_.push_back(time_us / kSecondUs);
    }
  }
  // Stored, so that a spec with a longer lateness never admits what a shorter one has forgotten.
  Kept kept{std::max({clock_us - rules_.allowed_lateness_us, head.horizon_us, std::int64_t{0}}), false, {}};
  keep_from(floor_div(kept.horizon_us, kSecondUs));
  auto cap = static_cast<std::size_t>(rules_.seen_ids_cap);
  if (seen_ids_.size() > cap) {
    sorted_ = seen_seconds_;
    auto newest_forgotten = sorted_.begin() + static_cast<std::ptrdiff_t>(sorted_.size() - cap - 1);
    std::nth_element(sorted_.begin(), newest_forgotten, sorted_.end());
    std::int64_t oldest = *newest_forgotten + 1;
    keep_from(oldest);
    kept.horizon_us = std::max(kept.horizon_us, oldest * kSecondUs);
    kept.shortened = true;
  }
  write();
  kept.seen = packed_.view();
  return kept;
}

void Admission::read(std::optional<std::string_view> seen) {
  seen_ids_.clear();
  seen_seconds_.clear();
  if (!seen) return;
  Reader in(*seen);
  need(in.left() > 0 && in.take<std::uint8_t>() == kSeenFormat, "a format that there is not");
  need(in.left() % kBytesAnId == 0, "bytes that end in the middle of an id");
  std::size_t ids = in.left() / kBytesAnId;
  in.column<std::uint64_t>(ids, seen_ids_);
  in.column<std::uint32_t>(ids, seen_seconds_);
}

/// Forgets the ids of events before a second.
void Admission::keep_from(std::int64_t second) {
  std::size_t kept = 0;
  for (std::size_t at = 0; at < seen_ids_.size(); ++at) {
    if (seen_seconds_[at] < second) continue;
    seen_ids_[kept] = seen_ids_[at];
    seen_seconds_[kept++] = seen_seconds_[at];
  }
  seen_ids_.resize(kept);
  seen_seconds_.resize(kept);
}

void Admission::write() {
  packed_.clear();
  Writer out(packed_);
  out.put(kSeenFormat);
  out.column<std::uint64_t>(seen_ids_, [](std::uint64_t id) { return id; });
  out.column<std::uint32_t>(seen_seconds_, [](std::int64_t second) { return second; });
}

}  // namespace user_state
