// The events of a bundle, user by user: judged by the ids that are remembered, and those that are let in folded. Each
// record is opened once, and its checksum looked at once.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "events/admission.hpp"
#include "record/folder.hpp"
#include "record/forgetting.hpp"

namespace user_state {

/// What is stored of a user, and what is to be done whatever the events are.
struct StoredUser {
  /// Without data: there is none.
  std::string_view record;
  std::optional<std::string_view> ids;
  /// The ids that belong to the record are lost: no event is let in that may be in the record.
  bool ids_lost = false;
  /// The record is to be written even if no event is new.
  bool is_due = false;
};

/// What becomes of a user.
struct FoldedUser {
  /// Bytes that were appended, of the new record and then of the ids to remember; 0 for a user who is not to be written.
  std::size_t record_bytes = 0, ids_bytes = 0;
  /// Of the events in the new record.
  std::int64_t last_event_us = 0;
  /// Whether the cap on remembered ids has moved the horizon.
  bool is_shortened = false;
  std::optional<RecordError> error;
};

/// Folds one bundle; not for two threads at once.
class BundleFolder {
 public:
  struct Rules {
    Admission::Rules admission;
    /// A record that would become larger stays as it was.
    std::size_t most_bytes;
    /// What the first half of a new version counts: the events in the record, or the writes.
    bool counts_events;
    /// History: events arrive at their publish times, and a user is forgotten in between. None: the server forgets.
    std::optional<Forgetting> forgetting;
  };

  /// Everything has to outlive this, and `folder` to be nobody else's meanwhile. All times are from 0 to kFarthestUs.
  BundleFolder(const Rules& rules, Folder& folder, const Events& events, const Admission::Arrived& arrived)
      : rules_(rules), folder_(folder), events_(events), arrived_(arrived), admission_(rules.admission) {
    folder_.begin(events);
  }

  /// Judges a user's events into `outcome`, which has a place for each event of the bundle, and folds those that are let
  /// in. `chance` is the second half of the new version, 4 bytes.
  ///
  /// With an error of kTooLarge the user's new events are kOversized, with any other all are kBadRecord. A layout that is
  /// not known is such an error, for the caller to try again. Events of a record that was forgotten before later ones
  /// arrived are kForgotten.
  FoldedUser fold(std::size_t user, const StoredUser& stored, std::string_view chance, Outcome* outcome, Buffer& out);

 private:
  /// Judges rows as history has them arrive. Of a user who was forgotten, what is stored becomes nothing, and the rows
  /// those that came since.
  Admission::Kept judge_history(Envelope& envelope, StoredUser& stored, std::span<const std::uint32_t>& rows,
                                Outcome* outcome);
  /// The version of the record that follows one that is open, if it has so many events.
  std::string_view version_after(const Envelope& envelope, std::int64_t events, std::string_view chance);
  /// Folds what was let in; throws RecordError, and has appended nothing then.
  void fold_applied(const Envelope& envelope, const StoredUser& stored, const Admission::Kept& kept,
                    std::string_view chance, FoldedUser& made, Buffer& out);

  const Rules rules_;
  Folder& folder_;
  const Events& events_;
  const Admission::Arrived arrived_;
  Admission admission_;
  /// Rows that were let in.
  std::vector<std::uint32_t> applied_;
  std::string version_;
};

}  // namespace user_state
