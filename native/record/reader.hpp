// Packed records -> rows of finished outputs, whatever they are of: the dictionary, and sections by their parts. Keeps
// nothing between records but room.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string_view>

#include "families/part.hpp"
#include "record/folder.hpp"

namespace user_state::reading {

class RecordReader {
 public:
  /// `folder` migrates records of other layouts; it and the others have to outlive this.
  RecordReader(const Program& program, Folder& folder, Outputs& out);

  /// Settles when the records that follow are read.
  void set_time(std::int64_t at_us);

  /// Fills a row. Without bytes, and if they are refused, it is that of a record that holds nothing. Returns what is
  /// wrong with them.
  std::optional<RecordError> read(std::size_t row, std::string_view blob);

 private:
  void read_record(std::size_t row, std::string_view blob);
  void read_sections(Row& row, const Envelope& envelope, std::string_view blob);
  void read_strings(Row& row, std::string_view dictionary);

  const Program& program_;
  Outputs& out_;
  Folder& folder_;
  Envelope blank_;
  Buffer migrated_;
  /// By section; none for those that no output asks for, of which the first is the dictionary.
  std::array<std::unique_ptr<Part>, kSections> parts_;
  /// Whether a section has to be blank, since the layout has no piece of its family.
  std::array<bool, kSections> idle_{};
  bool strings_;
};

}  // namespace user_state::reading
