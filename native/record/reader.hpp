// Packed records -> rows of finished outputs, whatever they are of: the envelope (user_state/codec/record.py), its
// dictionary, and its sections by their parts. Keeps nothing between records but room.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "families/part.hpp"

namespace user_state::reading {

class RecordReader {
 public:
  explicit RecordReader(const Program& program);

  /// Settles where the records that follow go.
  void set_outputs(Outputs& out) { out_ = &out; }
  /// Settles when the records that follow are read.
  void set_time(std::int64_t at_us);

  /// Fills a row. Without bytes, and if they are declined, it is that of a record that holds nothing.
  Status read(std::size_t row, std::string_view blob);

  /// Whether it has declined a record: such a one may have made it ask for more room than others ever need.
  bool has_declined() const { return has_declined_; }

 private:
  using Sections = std::array<std::string_view, kSections>;

  void read_record(std::size_t row, std::string_view blob);
  void read_sections(Row& row, const Sections& sections);
  void read_strings(Row& row, std::string_view dictionary);

  const Program& program_;
  Outputs* out_ = nullptr;
  Sections blanks_;
  /// By section; none for those that no output asks for, of which the first is the dictionary.
  std::array<std::unique_ptr<Part>, kSections> parts_;
  /// Whether a section has to be blank, since the layout has no piece of its family.
  std::array<bool, kSections> idle_{};
  bool strings_, has_declined_ = false;
};

}  // namespace user_state::reading
