#include "record/replay.hpp"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace user_state {

std::vector<std::uint32_t> Replay::play(const Events& events, const Admission::Arrived& arrived,
                                        const Questions& questions, Outcome* outcome,
                                        const Refuse& refuse) {
  std::size_t count = questions.user.size();
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  auto key = [&](std::uint32_t at) { return std::tuple(questions.user[at], questions.visible[at], at); };
  std::ranges::sort(order, {}, key);
  folder_.begin(events);
  std::size_t next = 0;
  for (std::size_t user = 0; user < events.users(); ++user) {
    auto rows = events.rows_of(user);
    admission_.judge({0, 0}, std::nullopt, arrived, rows, outcome);
    std::size_t begin = next;
    while (next < count && questions.user[order[next]] == static_cast<std::int64_t>(user)) ++next;
    if (next > begin) play_user(events, rows, outcome, questions, std::span(order).subspan(begin, next - begin), refuse);
  }
  return order;
}

void Replay::play_user(const Events& events, std::span<const std::uint32_t> rows, const Outcome* outcome,
                       const Questions& questions, std::span<const std::uint32_t> asked, const Refuse& refuse) {
  record_.clear();
  bool has_room = true;
  auto row = rows.begin();
  for (std::uint32_t question : asked) {
    applied_.clear();
    for (; row != rows.end() && *row < questions.visible[question]; ++row) {
      if (outcome[*row] == Outcome::kApplied) applied_.push_back(*row);
    }
    if (has_room && !applied_.empty()) has_room = fold(events);
    if (!has_room) refuse(question, {RecordError::Kind::kTooLarge, "the record would get larger than `max_record`"});
    bool there = has_room && record_.size() > 0;
    auto wrong = answer(question, questions.at_us[question], there ? record_.view() : std::string_view());
    if (wrong) refuse(question, std::move(*wrong));
  }
}

bool Replay::fold(const Events& events) {
  constexpr std::string_view kVersion("\0\0\0\0\0\0\0\0", kNameBytes);
  std::swap(record_, before_);
  record_.clear();
  std::string_view before = before_.size() > 0 ? before_.view() : std::string_view();
  try {
    folder_.fold(before, events, applied_, 0, kVersion, record_);
  } catch (const RecordError&) {
    // It was made here, so that nothing else can be wrong with it than that it gets too large.
    return false;
  }
  return record_.size() <= most_bytes_;
}

std::optional<RecordError> Replay::answer(std::uint32_t question, std::int64_t at_us, std::string_view record) {
  if (at_us != set_us_) reader_.set_time(set_us_ = at_us);
  if (histories_ != nullptr) histories_->read(record, at_us);
  return reader_.read(question, record);
}

}  // namespace user_state
