// Which events are folded, on remembered ids as they are stored: user_state/state/outcome.py says by which rules, and
// user_state/state/remembered_ids.py what the bytes are.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/bytes.hpp"
#include "codec/keyed_hash.hpp"

namespace user_state {

/// As the Python `Outcome` numbers them; kContended is given there alone.
enum class Outcome : std::int8_t {
  kApplied, kDuplicate, kTooLate, kFromFuture, kBadRecord, kOversized, kContended, kForgotten
};

class Admission {
 public:
  struct Rules {
    std::int64_t allowed_lateness_us, max_clock_skew_us, seen_ids_cap;
  };
  /// m events of all users, in order of arrival.
  struct Arrived {
    std::span<const std::uint64_t> id_hash;
    std::span<const std::int64_t> time_us, published_us;
  };
  /// What a user's record says of time.
  struct Head {
    std::int64_t clock_us, horizon_us;
  };
  /// What is left of a user's ids, and where that puts the horizon.
  struct Kept {
    std::int64_t horizon_us;
    bool shortened;
    /// As they are to be stored, until the next user is judged.
    std::string_view seen;
  };

  explicit Admission(Rules rules) : rules_(rules) {}

  /// Judges the rows of one user, in order of arrival, into `outcome` (m,). All times are from 0 to kFarthestUs. Throws
  /// Corrupt for bytes that are no remembered ids.
  ///
  /// The time is linear in the rows and the remembered ids, and these are only compared with the batch's few.
  Kept judge(const Head& head, std::optional<std::string_view> seen, const Arrived& arrived,
             std::span<const std::uint32_t> rows, Outcome* outcome);

 private:
  /// The ids of one user's candidates; open addressing, at most half full, by a hash that nobody can aim at.
  class Ids {
   public:
    void clear(std::size_t most);
    void add(std::uint64_t id) { *find(id) = {id, State::kNew}; }
    void mark_known(std::uint64_t id) {
      if (Slot* slot = find(id); slot->state != State::kFree) slot->state = State::kKnown;
    }
    /// Whether an id that was added is not known.
    bool is_new(std::uint64_t id) { return find(id)->state == State::kNew; }

   private:
    enum class State : std::uint8_t { kFree, kNew, kKnown };
    struct Slot {
      std::uint64_t id;
      State state;
    };

    Slot* find(std::uint64_t id) {
      std::size_t at = hash_(id) & mask_;
      while (slots_[at].state != State::kFree && slots_[at].id != id) at = (at + 1) & mask_;
      return &slots_[at];
    }

    const KeyedHash hash_;
    std::size_t mask_ = 0;
    std::vector<Slot> slots_;
  };

  void read(std::optional<std::string_view> seen);
  void keep_from(std::int64_t second);
  void write();

  const Rules rules_;
  Ids ids_;
  std::vector<std::uint32_t> candidates_;
  std::vector<std::uint64_t> seen_ids_;
  std::vector<std::int64_t> seen_seconds_, sorted_;
  Buffer packed_;
};

}  // namespace user_state
