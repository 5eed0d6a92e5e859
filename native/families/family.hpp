// What every family of state can do with one user's record.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>

#include "codec/bytes.hpp"
#include "codec/strings.hpp"
#include "events/events.hpp"
#include "families/takes.hpp"
#include "plan.hpp"

namespace user_state {

/// Holds one family of one record at a time; record after record, so that its memory is asked for once.
///
///     stays     whether folding would change nothing, so that the section need not be read
///     read      takes a section in, forgetting what was there; what `write` would not write is Corrupt
///     fold      joins it with what arrived, as of the arrivals' clock: also what that clock alone changes
///     absorb    joins it with what another record of the family holds, as of the later of both clocks
///     use       tells the strings it still has
///     write     packs it, by the columns that the family lists (columns.hpp)
///
/// A replay asks after every few events what a record says. A family that can stay open is folded into again and again
/// then, after one `read` of a section that holds nothing, and its Part reads it where it is: nothing is packed.
///
/// What a record says is a function of the set of its events: any order, any batches, any split and merge come to the
/// same, but for the last bits of floating-point sums. The fold.cpp of each family says why, and where it holds within a
/// bound only; its features.cpp has the formulas of what is read.
class Family {
 public:
  /// The place of a piece that `absorb` leaves out.
  static constexpr int kGone = -1;

  virtual ~Family() = default;
  /// Whether a section of this plan that was written as of an earlier clock, `since_us`, is what would be written again
  /// once these arrivals were folded in: it is copied then, and nobody looks at it. Never of a family whose sections name
  /// strings, which may have other numbers by now.
  virtual bool stays(const Arrivals& /*arrivals*/, std::int64_t /*since_us*/) const { return false; }
  virtual void read(Reader section, const Strings& strings) = 0;
  virtual void fold(const Arrivals& arrivals, Strings& strings) = 0;
  /// Takes in what another state of this family holds, made of other events: piece p of `other`, which was made for
  /// another plan perhaps, goes to piece `becomes[p]` of this one, or nowhere if that is kGone. As of the clock; string
  /// codes of both are those of the same Strings, which has read this one's dictionary first. `read` came last for
  /// both; only `use` and `write` follow, and until then `other`, and the section it was read from, stay.
  virtual void absorb(const Family& /*other*/, std::span<const int> /*becomes*/, std::int64_t /*clock_us*/,
                      Strings& /*strings*/) {
    throw std::logic_error("expected a family that can take in another's state");
  }
  virtual void use(Strings&) const {}
  virtual void write(Writer& out, const Strings& strings) const = 0;

  /// Whether it can stay open; never of a family whose sections name strings.
  virtual bool can_stay_open() const { return false; }
  /// While it is open: how many bytes `write` writes at most, if it writes any.
  virtual std::size_t most_bytes() const { throw std::logic_error("expected a family that can stay open"); }
};

std::unique_ptr<Family> make_tiles(const Plan& plan);
std::unique_ptr<Family> make_logs(const Plan& plan);
std::unique_ptr<Family> make_decays(const Plan& plan);
std::unique_ptr<Family> make_vectors(const Plan& plan);
std::unique_ptr<Family> make_last_seen(const Plan& plan);
std::unique_ptr<Family> make_profiles(const Plan& plan);
std::unique_ptr<Family> make_sessions(const Plan& plan);
std::unique_ptr<Family> make_hlls(const Plan& plan);
std::unique_ptr<Family> make_klls(const Plan& plan);
std::unique_ptr<Family> make_keyed_tiles(const Plan& plan);
std::unique_ptr<Family> make_keyed_decays(const Plan& plan);
std::unique_ptr<Family> make_gaps(const Plan& plan);

}  // namespace user_state
