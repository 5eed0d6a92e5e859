// Packed records -> rows of finished outputs, whatever they are of: the envelope (user_state/codec/record.py), its
// dictionary, and its sections by their parts. Keeps nothing between records but room.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "families/part.hpp"

namespace user_state::reading {

/// Of each section of a record its bytes, the first being the dictionary.
using Sections = std::array<std::string_view, kSections>;

/// A record that was taken apart: its numbers (clock, last event, horizon, applied), and its sections.
struct Opened {
  static constexpr std::size_t kLongs = 4, kClock = 0, kLastEvent = 1;

  std::array<std::int64_t, kLongs> longs;
  Sections sections;
};

/// Takes a record of the program's layout apart; declines any other bytes.
Opened open_record(const Program& program, std::string_view blob);

/// Appends the strings of a dictionary, and how long each is; returns how many there are.
std::size_t take_strings(std::string_view dictionary, std::string& texts, std::vector<std::uint16_t>& lengths);

class RecordReader {
 public:
  RecordReader(const Program& program, Outputs& out);

  /// Settles when the records that follow are read.
  void set_time(std::int64_t at_us);

  /// Fills a row. Without bytes, and if they are declined, it is that of a record that holds nothing.
  void read(std::size_t row, std::string_view blob);
  /// Fills a row with a record that was taken apart, or with none.
  void read(std::size_t row, const Opened* opened);

 private:
  void read_record(std::size_t row, const Opened& opened);
  void read_nothing(std::size_t row, Status status);
  void read_sections(Row& row, const Sections& sections);

  const Program& program_;
  Outputs& out_;
  Sections blanks_;
  /// By section; none for those that no output asks for, of which the first is the dictionary.
  std::array<std::unique_ptr<Part>, kSections> parts_;
  /// Whether a section has to be blank, since the layout has no piece of its family.
  std::array<bool, kSections> idle_{};
  bool strings_;
};

}  // namespace user_state::reading
