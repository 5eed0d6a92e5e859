// What is to be read of packed records, settled once: a plan and a choice of its outputs, as reading obeys them. Names
// are those of plan/outputs.py; numbers of columns, arrays, lists and embeddings are those of the outputs chosen.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "families/tiles/tile_values.hpp"
#include "plan.hpp"

namespace user_state::reading {

/// The kinds of a list's columns: texts are codes, -1 for null; reals have NaN for null; whole numbers the smallest one.
enum class Cells : std::uint8_t { kText, kReal, kWhole };

/// The kinds of a log's columns. Times take no bytes of their own; lists are texts (codec/list_text.hpp).
enum class LogKind : std::uint8_t { kText, kReal, kWhole, kTime, kTexts, kReals, kWholes, kBools };

enum class TileAggregate : std::uint8_t {
  kCount, kSum, kMin, kMax, kMean, kGeometricMean, kVariance, kStddev, kSkew, kKurtosis, kRecency, kFirstSeen, kGapMean
};
enum class SessionAggregate : std::uint8_t { kCount, kLengthMean, kEventsMean, kCurrentLength, kCurrentEvents };
enum class Shown : std::uint8_t { kNothing, kCount, kShare, kSum, kMean };
enum class Measure : std::uint8_t { kCount, kSum, kMean };

/// A number that is read from tiles, for whichever outputs; `window` is an index into `Program::windows`.
struct TileNumber {
  TileAggregate aggregate;
  int window, track;
  double empty;
};

struct TileOutput { int column, number; };
struct RatioOutput { int column, numerator, denominator; double rate, weight, empty; };
struct StackedOutput { int array; std::vector<int> numbers; };
struct DecayedOutput { int column, decay, half_life; double empty; };
struct LoggedOutput { int column, log, log_column; Window window; bool first; double empty; };
struct LastSeenOutput { int column, track; Window window; std::int64_t cap; bool streak; double empty; };
struct SessionOutput { int column; SessionAggregate aggregate; int track; Window window; double empty; };
struct GapOutput { int column, track; Window window; double empty; };
struct DistinctOutput { int column, track; Window window; double empty; };
struct EntropyOutput { int column, track; Window window; double empty; };
struct ProfileOutput { int array, profile, half_life; };
struct QuantilesOutput { int array, track; Window window; std::vector<double> quantiles; double empty; };
/// Rows of a log: those within `within_us` of the reading time if that is given, else in the window.
struct LogList {
  int list, log;
  std::vector<int> columns;
  Window window;
  std::optional<std::int64_t> within_us;
  int most;
  bool first;
};
struct Table { int list, track, most; Shown shown; Measure measure; Window window; };
struct DecayedTable { int list, decay, most; bool share; };
struct VectorOutput { int embedding, vectors, half_life; bool is_sum, unit; };

struct VectorPart { int dimensions, component_bytes; std::vector<std::int64_t> half_lives_us; };
struct ProfilePart { int bins, half_lives; };
/// The keys of a keyed track, or of a decayed one: of each column whether it is of strings.
struct KeyedPart { std::vector<bool> texts; bool sums; std::int64_t half_life_us; };
/// Lists are padded to `width`.
struct ListShape { int width; std::vector<Cells> columns; };

struct Program {
  /// Eight bytes that name the layout of the records.
  std::string layout;
  /// Whether all outputs of the plan are asked for, so that every section is looked through.
  bool whole;

  int columns;
  std::vector<int> array_sizes, dimensions;
  std::vector<ListShape> lists;

  std::vector<Window> windows;
  std::vector<TileNumber> numbers;
  std::vector<TileOutput> tiled;
  std::vector<RatioOutput> ratios;
  std::vector<StackedOutput> stacked;
  std::vector<DecayedOutput> decayed;
  std::vector<LoggedOutput> logged;
  std::vector<LogList> log_lists;
  std::vector<LastSeenOutput> last_seen;
  std::vector<SessionOutput> sessions;
  std::vector<GapOutput> gaps;
  std::vector<DistinctOutput> distinct;
  std::vector<EntropyOutput> entropies;
  std::vector<ProfileOutput> profiles;
  std::vector<QuantilesOutput> quantiles;
  std::vector<Table> tables;
  std::vector<DecayedTable> decayed_tables;
  std::vector<VectorOutput> vectors;

  // The pieces of state that a record of the layout has.
  std::vector<Held> tracks;
  std::vector<std::vector<LogKind>> logs;
  /// Microseconds of the event field that says when events happened.
  std::int64_t time_unit_us;
  std::vector<std::vector<std::int64_t>> decay_half_lives_us;
  std::vector<VectorPart> vector_parts;
  std::vector<bool> last_seen_days;
  std::vector<ProfilePart> profile_parts;
  std::vector<std::int64_t> session_gaps_us;
  std::vector<int> hll_lg_ks, kll_ks;
  std::vector<KeyedPart> keyed_tracks, keyed_decays;
  int gap_tracks;
  LocalTime local_time;
};

}  // namespace user_state::reading
