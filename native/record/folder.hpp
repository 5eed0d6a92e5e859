// The verbs that make records: fold, merge, migrate. Bytes in, bytes out, one record at a time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "record/envelope.hpp"
#include "record/layout.hpp"

namespace user_state {

/// What folds records of one plan, in however many threads.
struct FoldRules {
  Plan plan;
  Layout layout;
  /// How many event ids are remembered of a user, and how large a record may become.
  std::int64_t seen_ids_cap;
  std::size_t most_bytes;
};

/// A layout that records of another spec have.
struct OtherLayout {
  OtherLayout(const FoldRules& rules, const Layout& layout);

  /// What reads such records.
  Plan plan;
  /// How far before the user's clock they can be read by the plan that records are folded by.
  std::int64_t skew_us;
  /// By family: where its pieces are in the plan that records are folded by, -1 for those that are gone.
  std::vector<std::vector<int>> becomes;
};

/// By the eight bytes that name them.
using OtherLayouts = std::map<std::string, std::shared_ptr<const OtherLayout>, std::less<>>;

/// What a record holds, apart: for records that are only looked at, and folded further. Families that can stay open have no
/// section here: they are the folder's, which has one record open at a time.
struct OpenRecord {
  Envelope envelope;
  /// What the sections are in.
  Buffer bytes;
};

/// Keeps nothing between records but room; not for two threads at once.
///
/// No bytes are a record without data. Every verb appends a record to `out`, or throws RecordError and appends nothing.
/// A record of another layout is migrated first.
class Folder {
 public:
  explicit Folder(const FoldRules& rules);

  /// Says which other layouts are known from now on.
  void set_layouts(std::shared_ptr<const OtherLayouts> known) { known_ = std::move(known); }
  /// Begins with a batch, which has to outlive the folding of its events.
  void begin(const Events& events) { strings_.begin(events); }

  /// Opens a record, of whatever layout.
  Envelope opened(std::string_view blob) const { return blob.data() == nullptr ? blank() : open_record(blob); }
  /// Folds events in; the horizon is that of the record, unless the record has a later one.
  void fold(std::string_view blob, const Events& events, std::span<const std::uint32_t> rows, std::int64_t horizon_us,
            std::string_view version, Buffer& out) {
    fold(opened(blob), blob, events, rows, horizon_us, version, out);
  }
  /// The same of a record that is open.
  void fold(Envelope envelope, std::string_view blob, const Events& events, std::span<const std::uint32_t> rows,
            std::int64_t horizon_us, std::string_view version, Buffer& out);
  /// As `fold`, without taking a record apart or putting one together; `after` is another one than `before`.
  void fold(const OpenRecord& before, const Events& events, std::span<const std::uint32_t> rows, OpenRecord& after);
  /// Makes `record` one that holds nothing, and the one that is open, until any other is begun, folded, merged or migrated.
  void begin(OpenRecord& record);
  /// Whether the record that is open would be of at most so many bytes.
  bool has_room(const OpenRecord& record, std::size_t most_bytes);
  /// A family of the record that is open, by its place; none if it cannot stay open.
  const Family* open(std::size_t at) const { return is_open_[at] ? families_[at].get() : nullptr; }
  /// Joins the records of disjoint sets of events, as of the later of both clocks.
  void merge(std::string_view a, std::string_view b, std::string_view version, Buffer& out);
  /// Takes over what the plan still has: the record of the same events, version and times in the plan's layout.
  void migrate(std::string_view blob, Buffer& out);

  /// How far before its clock a record of this layout can be read, microseconds: `max_clock_skew`, or that of the spec
  /// which made the record, if it is shorter. Throws RecordError if the layout is not known.
  std::int64_t skew_us(std::string_view layout);

  /// The sections of a record that holds nothing, the first being the dictionary.
  const std::vector<std::string>& blanks() const { return blanks_; }

 private:
  /// None for families of which there are no pieces.
  using Families = std::vector<std::unique_ptr<Family>>;
  struct Other {
    std::shared_ptr<const OtherLayout> layout;
    Families families;
    std::vector<std::string> blanks;
  };

  static Families made_for(const Plan& plan);
  static std::vector<std::string> blanks_of(const Families& families);
  /// Reads all sections, but of families that are `left_out`, by their places.
  static void read(const Families& families, const Envelope& envelope, std::string_view blob, const Strings& strings,
                   const std::vector<bool>& left_out = {});
  /// Readies a record that is open, migrated if need be: `blob` becomes the bytes that the sections are in, which may be
  /// in `migrated`.
  Envelope ready(Envelope envelope, std::string_view& blob, Buffer& migrated);
  Envelope blank() const;
  Other& other(std::string_view fingerprint);
  void migrate(Envelope envelope, std::string_view blob, Buffer& out);
  /// Reads a dictionary. Throws RecordError.
  template <class Take>
  void read_strings(const Envelope& envelope, std::string_view blob, Take take);
  /// What becomes of a family's section: it is packed anew, it is blank, or it is the one that the envelope has. That of a
  /// family which stays open is blank.
  enum class Section : std::uint8_t { kPacked, kBlank, kCopied };

  /// Packs what the families hold after `change(place, family)`, which says what becomes of the family's section; those
  /// that the envelope has afterwards are in `packed_`.
  template <class Change>
  void make(Envelope& envelope, std::string_view version, Change change);
  /// Folds events into what an envelope of the plan's layout holds; `blob` is what it is of.
  void fold(Envelope& envelope, std::string_view blob, const Events& events, std::span<const std::uint32_t> rows,
            std::int64_t horizon_us, std::string_view version, bool stays_open);

  const FoldRules& rules_;
  std::shared_ptr<const OtherLayouts> known_;
  /// Those of the plan, and those of a second record.
  Families families_, second_;
  std::map<std::string, Other, std::less<>> other_;
  std::vector<std::string> blanks_;
  /// For each family its pieces, in their own places.
  std::vector<std::vector<int>> same_;
  Strings strings_;
  Buffer packed_, migrated_, migrated_second_;
  std::vector<std::size_t> ends_;
  std::vector<Section> becomes_;
  /// Of each family whether it can stay open, and whether it is to be copied as it stands.
  std::vector<bool> is_open_, stays_;
  /// Of those that are left out where sections are read, as they stay as they are or stay open.
  std::vector<bool> left_out_;
  /// Sections of open families, packed to see how long they are.
  Buffer measured_;
};

}  // namespace user_state
