// Events and questions of users, played in order: what each user's record says before each question.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "events/admission.hpp"
#include "record/folder.hpp"
#include "record/forgetting.hpp"
#include "record/histories.hpp"
#include "record/reader.hpp"

namespace user_state {

/// q questions: whose, when, and how many of the batch's events came before it.
struct Questions {
  std::span<const std::int64_t> user, at_us, visible;
};

/// Folds users' events, from nothing on, as a stream folds them; sections are packed only where a record is asked for, and
/// whole records never.
class Replay {
 public:
  using Refuse = std::function<void(std::uint32_t question, RecordError error)>;

  struct Rules {
    std::size_t most_bytes;
    Forgetting forgetting;
    /// Whether the outcomes are known already.
    bool is_judged;
  };

  /// `folder` is nobody else's meanwhile; `histories` may be none. What is filled has a row a question.
  Replay(Folder& folder, Admission& admission, const reading::Program& program, reading::Outputs& out,
         reading::Histories* histories, const Rules& rules)
      : folder_(folder), admission_(admission), reader_(program), histories_(histories), rules_(rules) {
    reader_.begin(out, folder);
  }

  /// Judges all events into `outcome` (m,), and answers all questions, those of a user in order of what came before
  /// them; histories are appended in that order, which is returned: indices of questions. `refuse(question, error)` is
  /// told of those that cannot be answered: the record would get too large, or the time is before what it answers for.
  std::vector<std::uint32_t> play(const Events& events, const Admission::Arrived& arrived, const Questions& questions,
                                  Outcome* outcome, const Refuse& refuse);

 private:
  /// Judges the rows of a user, and notes those at which the user had been forgotten.
  void judge(const Admission::Arrived& arrived, std::span<const std::uint32_t> rows, Outcome* outcome);
  void play_user(const Events& events, const Admission::Arrived& arrived, std::span<const std::uint32_t> rows,
                 const Outcome* outcome, const Questions& questions, std::span<const std::uint32_t> asked,
                 const Refuse& refuse);
  /// Folds what was applied into the user's record; returns whether it has room.
  bool fold(const Events& events);
  std::optional<RecordError> answer(std::uint32_t question, std::int64_t at_us, bool there);

  Folder& folder_;
  Admission& admission_;
  reading::RecordReader reader_;
  reading::Histories* histories_;
  const Rules rules_;
  std::int64_t set_us_ = std::numeric_limits<std::int64_t>::min();
  /// The user's record, what it was before, and whether there is one.
  OpenRecord record_, before_;
  bool has_record_ = false;
  /// Of the events of the user's that are not forgotten.
  std::int64_t last_event_us_ = 0;
  /// Rows of the user at which the record begins anew, ascending.
  std::vector<std::uint32_t> anew_;
  /// Applied since the user was asked for last.
  std::vector<std::uint32_t> applied_;
};

}  // namespace user_state
