// Packed records -> what embeddings are composed of outside: rows of logs, and decayed sums of vectors, as they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "families/logs/log_cells.hpp"
#include "families/vectors/stored.hpp"
#include "record/reader.hpp"

namespace user_state::reading {

/// The rows of one log of n records, one record's after the other's, each by time and tie.
struct History {
  std::size_t log;
  std::vector<LogKind> kinds;
  /// (n + 1,) where each record's rows begin, and the last one's end.
  std::vector<std::int64_t> begins;
  std::vector<std::int64_t> time_us, tie;
  /// By column: codes into `Histories::texts`, -1 for null; bits of doubles; whole numbers, or times.
  std::vector<std::vector<std::int64_t>> columns;
};

/// The chosen logs of n records. Records that are not there, or refused, have no rows.
class Histories {
 public:
  /// The program and the folder, which migrates records of other layouts, have to outlive this; a log that the program
  /// does not have is std::out_of_range.
  Histories(const Program& program, Folder& folder, const std::vector<std::size_t>& logs);

  /// Takes in a record's rows, which are read for a time if there is one; returns what is wrong with it.
  std::optional<RecordError> read(std::string_view blob, std::optional<std::int64_t> at_us = std::nullopt);
  /// As `read`, of a record that was folded here.
  void read(const OpenRecord& record);

  std::vector<History> logs;
  /// The strings of all dictionaries, one after the other, and how long each is.
  std::string texts;
  std::vector<std::uint16_t> text_lengths;

 private:
  /// Takes in the sections of a record, which are in `blob`.
  void take(const Envelope& envelope, std::string_view blob);
  /// Ends the rows of a record.
  void end();
  void put(History& history, std::int64_t first_code) const;

  const Program& program_;
  Folder& folder_;
  LogCells cells_;
  Buffer migrated_;
};

/// One of the vectors of n records; zeros for records that have none, are not there, or are refused.
class StoredSums {
 public:
  StoredSums(const Program& program, Folder& folder, std::size_t part);

  /// Fills what is `record`'s of (n,), (n, half-lives) and (n, half-lives, dimensions); returns what is wrong with it.
  std::optional<RecordError> read(std::size_t record, std::string_view blob, std::int64_t* time_us, double* weights,
                                  double* sums);

 private:
  const Program& program_;
  Folder& folder_;
  const std::size_t part_;
  Buffer migrated_;
  StoredVectors stored_;
};

}  // namespace user_state::reading
