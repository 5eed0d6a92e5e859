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
    judge(arrived, rows, outcome);
    std::size_t begin = next;
    while (next < count && questions.user[order[next]] == static_cast<std::int64_t>(user)) ++next;
    if (next > begin) {
      play_user(events, arrived, rows, outcome, questions, std::span(order).subspan(begin, next - begin), refuse);
    }
  }
  return order;
}

void Replay::judge(const Admission::Arrived& arrived, std::span<const std::uint32_t> rows, Outcome* outcome) {
  anew_.clear();
  // Twice as many at once as long as nothing is forgotten: the time is linear in the rows, however often that happens.
  for (std::size_t most = Forgetting::kFirstJudged; !rows.empty();) {
    auto some = rows.first(std::min(most, rows.size()));
    if (!rules_.is_judged) admission_.judge({0, 0}, std::nullopt, arrived, some, outcome);
    std::size_t first = rules_.forgetting.first(std::nullopt, arrived, some, outcome);
    if (first < some.size()) {
      anew_.push_back(rows[first]);
      rows = rows.subspan(first);
      most = Forgetting::kFirstJudged;
    } else if (some.size() == rows.size()) {
      return;
    } else {
      most *= 2;
    }
  }
}

void Replay::play_user(const Events& events, const Admission::Arrived& arrived, std::span<const std::uint32_t> rows,
                       const Outcome* outcome, const Questions& questions, std::span<const std::uint32_t> asked,
                       const Refuse& refuse) {
  auto begin = [&] {
    folder_.begin(record_);
    applied_.clear();
    has_record_ = false;
    last_event_us_ = 0;
    return true;
  };
  bool has_room = begin();
  auto row = rows.begin();
  auto anew = anew_.begin();
  for (std::uint32_t question : asked) {
    applied_.clear();
    for (; row != rows.end() && *row < questions.visible[question]; ++row) {
      if (anew != anew_.end() && *row == *anew) {
        has_room = begin();
        ++anew;
      }
      if (outcome[*row] != Outcome::kApplied) continue;
      applied_.push_back(*row);
      last_event_us_ = std::max(last_event_us_, arrived.time_us[*row]);
    }
    if (has_room && !applied_.empty()) has_room = fold(events);
    bool is_kept = !rules_.forgetting.is_forgotten(last_event_us_, questions.at_us[question]);
    if (!has_room && is_kept) {
      refuse(question, {RecordError::Kind::kTooLarge, "the record would get larger than `max_record`"});
    }
    auto wrong = answer(question, questions.at_us[question], has_room && has_record_ && is_kept);
    if (wrong) refuse(question, std::move(*wrong));
  }
}

bool Replay::fold(const Events& events) {
  std::swap(record_, before_);
  has_record_ = true;
  try {
    folder_.fold(before_, events, applied_, record_);
  } catch (const RecordError&) {
    // It was made here, so that nothing else can be wrong with it than that it gets too large.
    return false;
  }
  return folder_.has_room(record_, rules_.most_bytes);
}

std::optional<RecordError> Replay::answer(std::uint32_t question, std::int64_t at_us, bool there) {
  if (at_us != set_us_) reader_.set_time(set_us_ = at_us);
  std::optional<RecordError> wrong;
  if (there) {
    try {
      refuse_earlier(record_.envelope, folder_.skew_us(record_.envelope.layout), at_us);
    } catch (RecordError& error) {
      wrong = std::move(error);
    }
  }
  if (there && !wrong) {
    reader_.read(question, record_);
    if (histories_ != nullptr) histories_->read(record_);
  } else {
    reader_.read(question, std::string_view());
    if (histories_ != nullptr) histories_->read(std::string_view());
  }
  return wrong;
}

}  // namespace user_state
