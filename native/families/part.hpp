// What reads one section of a record, and what all of them share: the row of the outputs that a record fills.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/bytes.hpp"
#include "families/family.hpp"
#include "record/program.hpp"

namespace user_state::reading {

inline constexpr std::int64_t kNullWhole = std::numeric_limits<std::int64_t>::min();
inline constexpr std::int64_t kNullText = -1;
inline constexpr double kNullReal = std::numeric_limits<double>::quiet_NaN();

/// What became of a record: there was none, it was read, or it could not be.
enum class Status : std::uint8_t { kAbsent, kRead, kRefused };

/// Where the outputs of a call go, each with a row a record.
struct Outputs {
  float* values = nullptr;
  Status* status = nullptr;
  std::int64_t* last_event_us = nullptr;
  std::vector<float*> arrays, embeddings;
  std::vector<std::int64_t*> lengths;
  /// By list and column; columns of doubles lie there as their bits do.
  std::vector<std::vector<std::int64_t*>> grids;
  /// The strings of all dictionaries, one after the other, and how long each is.
  std::string texts;
  std::vector<std::uint16_t> text_lengths;
};

/// The row that a record fills, and its dictionary: numbers of strings go from 1 to `strings`.
struct Row {
  std::size_t at;
  Outputs& out;
  float* values;
  std::size_t strings = 0;
  /// The code of the dictionary's first string among those of the call.
  std::int64_t first_code = 0;
  /// Where the dictionary's texts begin among those of the call.
  std::size_t first_text = 0;

  std::int64_t code_of(std::uint64_t number) const {
    return number == 0 ? kNullText : first_code + static_cast<std::int64_t>(number) - 1;
  }
};

/// Reads one family's section. Bytes that packing would not write are Corrupt (bytes.hpp).
class Part {
 public:
  virtual ~Part() = default;
  /// Settles what depends on the reading time alone.
  virtual void set_time(std::int64_t at_us) = 0;
  virtual void read(Reader in, const Row& row) = 0;
  /// As `read`, of what such a section is made of, where the family can stay open.
  virtual void read(const Family& /*open*/, const Row& /*row*/) {
    throw std::logic_error("expected a family that can stay open");
  }
};

/// How long ago a time was. A record may hold any; what is beyond whole numbers wraps around.
inline std::int64_t age_us(std::int64_t at_us, std::int64_t time_us) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(at_us) - static_cast<std::uint64_t>(time_us));
}

/// The first second that a window covers; 0 for a lifetime.
inline std::int64_t start_s(const Window& window, std::int64_t at_us) {
  if (!window.reach_s) return 0;
  return floor_div(floor_div(at_us, kSecondUs) - *window.reach_s, window.width_s) * window.width_s;
}

/// The different starts of several windows at a reading time, ascending: the longest window first.
class Starts {
 public:
  void set(std::span<const std::int64_t> starts) {
    starts_.assign(starts.begin(), starts.end());
    std::ranges::sort(starts_);
    starts_.erase(std::ranges::unique(starts_).begin(), starts_.end());
    place_.clear();
    for (std::int64_t start : starts) {
      place_.push_back(static_cast<std::size_t>(std::ranges::lower_bound(starts_, start) - starts_.begin()));
    }
  }

  std::size_t size() const { return starts_.size(); }
  std::int64_t operator[](std::size_t at) const { return starts_[at]; }
  /// Where the start of a window is, by its place among those that were set.
  std::size_t place(std::size_t window) const { return place_[window]; }
  /// How many windows a second lies in; the shortest of them is the one before that place.
  std::size_t holding(std::int64_t second) const {
    std::size_t windows = starts_.size();
    while (windows > 0 && second < starts_[windows - 1]) --windows;
    return windows;
  }

 private:
  std::vector<std::int64_t> starts_;
  std::vector<std::size_t> place_;
};

/// The starts of the windows of outputs.
template <class Output>
std::vector<std::int64_t> starts_s(const std::vector<Output>& outputs, std::int64_t at_us) {
  std::vector<std::int64_t> starts;
  for (const Output& output : outputs) starts.push_back(start_s(output.window, at_us));
  return starts;
}

// In the order of families/registry.hpp; each is in the features.cpp of its family's folder.
std::unique_ptr<Part> make_tiles(const Program& program);
std::unique_ptr<Part> make_logs(const Program& program);
std::unique_ptr<Part> make_decays(const Program& program);
std::unique_ptr<Part> make_vectors(const Program& program);
std::unique_ptr<Part> make_last_seen(const Program& program);
std::unique_ptr<Part> make_profiles(const Program& program);
std::unique_ptr<Part> make_sessions(const Program& program);
std::unique_ptr<Part> make_hlls(const Program& program);
std::unique_ptr<Part> make_klls(const Program& program);
std::unique_ptr<Part> make_keyed_tiles(const Program& program);
std::unique_ptr<Part> make_keyed_decays(const Program& program);
std::unique_ptr<Part> make_gaps(const Program& program);

}  // namespace user_state::reading
