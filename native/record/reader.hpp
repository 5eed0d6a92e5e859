// Packed records -> rows of finished outputs, whatever they are of: the dictionary, and sections by their parts. Keeps
// nothing between records but room.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/part.hpp"
#include "record/folder.hpp"

namespace user_state::reading {

/// Takes a record apart; one of another layout is migrated first, into `migrated`. `blob` becomes the bytes that the
/// sections are in. A record that cannot answer for the time `at_us` is refused, if there is one. Throws RecordError.
Envelope open_migrated(const Program& program, Folder& folder, std::string_view& blob, Buffer& migrated,
                       std::optional<std::int64_t> at_us = std::nullopt);

/// Appends the strings of a dictionary, and how long each is; returns how many there are.
std::size_t take_strings(std::string_view dictionary, std::string& texts, std::vector<std::uint16_t>& lengths);

class RecordReader {
 public:
  explicit RecordReader(const Program& program);

  /// Settles where the records that follow go, and what migrates those of other layouts; both have to outlive their use.
  void begin(Outputs& out, Folder& folder);
  /// Settles when the records that follow are read.
  void set_time(std::int64_t at_us);

  /// Fills a row. Without bytes, and if they are refused, it is that of a record that holds nothing. Returns what is
  /// wrong with them.
  std::optional<RecordError> read(std::size_t row, std::string_view blob);

  /// As `read`, of the record that is open in the folder, and holds something.
  void read(std::size_t row, const OpenRecord& record);

  /// Whether it has refused a record: such a one may have made it ask for more room than others ever need.
  bool has_refused() const { return has_refused_; }

 private:
  void read_record(std::size_t row, std::string_view blob);
  /// Reads sections, and of families that are open in `open`, if it is given, these.
  void read_sections(Row& row, const Envelope& envelope, std::string_view blob, const Folder* open = nullptr);

  const Program& program_;
  Outputs* out_ = nullptr;
  Folder* folder_ = nullptr;
  Envelope blank_;
  Buffer migrated_;
  std::int64_t at_us_ = 0;
  /// By section; none for those that no output asks for, of which the first is the dictionary.
  std::array<std::unique_ptr<Part>, kSections> parts_;
  /// Whether a section has to be blank, since the layout has no piece of its family.
  std::array<bool, kSections> idle_{};
  bool strings_, has_refused_ = false;
};

}  // namespace user_state::reading
