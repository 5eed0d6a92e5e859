// The verbs that make records, for Python: lists of bytes in, lists of bytes out, and what is wrong by record.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <optional>
#include <vector>

#include "record/folder.hpp"

namespace user_state {

/// Something that is wrong with a record, by its place.
struct Wrong {
  std::size_t record;
  RecordError error;
};

/// Returns a list of (place, kind, text); the text of a layout that is not known is the eight bytes that name it.
pybind11::list listed(const std::vector<Wrong>& wrong);

/// Folds, merges and migrates records of one plan. Threads may share it: each call borrows a Folder of its own, and holds
/// Python's lock while it does. There is no other lock, so that a process may fork at any time.
class Folding {
 public:
  /// `plan` is a Python Plan.
  explicit Folding(pybind11::handle plan);

  const Plan& plan() const { return rules_.plan; }

  /// Makes a layout known that records of other specs have.
  void add_layout(pybind11::handle layout);

  /// Judges and folds the events of some users of a bundle: an `EventBatch`, or Python's `Events`. Records and ids are
  /// those of `users` (n,), in their order, None being none; `ids_lost` and `due` are places in it of users whose ids are
  /// lost, and who are to be written whatever comes; `chance` has 4 bytes a user, for new versions, whose other half
  /// counts events or writes. Outcomes are written to `outcome` (m,), in the places of these users' events.
  ///
  /// Returns (n records, n users' ids to remember, (n,) last event times, places of users whose horizon the cap has
  /// moved, what is wrong). Record and ids are None for users who are not to be written.
  /// With `retention_us` events arrive at their publish times, and users are forgotten in between, as in history.
  pybind11::tuple fold_bundle(pybind11::handle events, const pybind11::array_t<std::int64_t>& users,
                              const pybind11::sequence& records, const pybind11::sequence& ids,
                              const std::vector<std::size_t>& ids_lost, const std::vector<std::size_t>& due,
                              const pybind11::bytes& chance, bool counts_events,
                              const pybind11::array_t<std::int8_t, pybind11::array::c_style>& outcome,
                              std::optional<std::int64_t> retention_us);

  /// Each returns (n records, what is wrong). A record is None for which there is nothing to be done, or something is
  /// wrong. Versions are of eight bytes; those of records for which nothing is done are not looked at.
  pybind11::tuple fold(const pybind11::sequence& blobs, pybind11::handle events,
                       const pybind11::array_t<std::int64_t>& horizon_us, const pybind11::sequence& versions);
  pybind11::tuple merge(const pybind11::sequence& a, const pybind11::sequence& b, const pybind11::sequence& versions);
  pybind11::tuple migrate(const pybind11::sequence& blobs);

  /// A folder for one call.
  class Borrowed {
   public:
    explicit Borrowed(Folding& from) : from_(from), folder_(from.borrow()) {}
    ~Borrowed() { from_.give_back(std::move(folder_)); }
    Borrowed(const Borrowed&) = delete;
    Borrowed& operator=(const Borrowed&) = delete;

    Folder& operator*() const { return *folder_; }
    Folder* operator->() const { return folder_.get(); }

   private:
    Folding& from_;
    std::unique_ptr<Folder> folder_;
  };

 private:
  std::unique_ptr<Folder> borrow();
  void give_back(std::unique_ptr<Folder> folder);

  const FoldRules rules_;
  std::shared_ptr<const OtherLayouts> others_ = std::make_shared<OtherLayouts>();
  std::vector<std::unique_ptr<Folder>> idle_;
};

/// Defines `Folding`, and what reads and changes envelopes alone; user_state/_native.pyi lists them.
void define_folding(pybind11::module_& module);

}  // namespace user_state
