#include "record/replay.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace user_state {

std::vector<std::uint32_t> Replay::play(const Events& events, const Admission::Arrived& arrived,
                                        const Questions& questions, Outcome* outcome, Trouble* trouble) {
  std::size_t count = questions.user.size();
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  auto key = [&](std::uint32_t at) { return std::tuple(questions.user[at], questions.visible[at], at); };
  std::ranges::sort(order, {}, key);
  folder_.strings_.begin(events);
  std::size_t next = 0;
  for (std::size_t user = 0; user < events.users(); ++user) {
    auto rows = events.rows_of(user);
    admission_.judge({0, 0}, std::nullopt, arrived, rows, outcome);
    std::size_t begin = next;
    while (next < count && questions.user[order[next]] == static_cast<std::int64_t>(user)) ++next;
    if (next > begin) play_user(events, rows, outcome, questions, std::span(order).subspan(begin, next - begin), trouble);
  }
  return order;
}

void Replay::play_user(const Events& events, std::span<const std::uint32_t> rows, const Outcome* outcome,
                       const Questions& questions, std::span<const std::uint32_t> asked, Trouble* trouble) {
  there_ = false;
  bool refused = false;
  auto row = rows.begin();
  for (std::uint32_t question : asked) {
    applied_.clear();
    for (; row != rows.end() && *row < questions.visible[question]; ++row) {
      if (outcome[*row] == Outcome::kApplied) applied_.push_back(*row);
    }
    if (!refused && !applied_.empty()) {
      try {
        fold(events);
      } catch (const Declined&) {
        // It holds nothing that packing would not write but too much of it.
        refused = true;
      }
    }
    trouble[question] = refused ? Trouble::kTooLarge : Trouble::kNone;
    answer(question, questions.at_us[question], refused);
  }
}

/// Folds what was applied into the user's record.
void Replay::fold(const Events& events) {
  Folder::Outer& outer = folder_.outer_;
  // What is folded into lies where it was packed, so that the new record is packed elsewhere.
  std::swap(before_, folder_.packed_);
  if (there_) {
    std::size_t begin = 0;
    for (std::size_t at = 0; at < folder_.ends_.size(); ++at) {
      outer.sections[at] = before_.view().substr(begin, folder_.ends_[at] - begin);
      begin = folder_.ends_[at];
    }
  } else {
    outer.longs = {};
    outer.sections.assign(folder_.blanks_.begin(), folder_.blanks_.end());
  }
  folder_.fold_outer(events, applied_, 0);
  need(folder_.packed_.size() <= static_cast<std::size_t>(most_bytes_));
  there_ = true;
  std::ranges::copy(outer.longs, opened_.longs.begin());
  std::size_t begin = 0;
  for (std::size_t at = 0; at < folder_.ends_.size(); ++at) {
    opened_.sections[at] = folder_.packed_.view().substr(begin, folder_.ends_[at] - begin);
    begin = folder_.ends_[at];
  }
}

void Replay::answer(std::uint32_t question, std::int64_t at_us, bool refused) {
  if (at_us != set_us_) reader_.set_time(set_us_ = at_us);
  const reading::Opened* opened = there_ && !refused ? &opened_ : nullptr;
  reader_.read(question, opened);
  if (histories_ != nullptr) histories_->read(opened);
}

}  // namespace user_state
