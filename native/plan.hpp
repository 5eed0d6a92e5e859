// The compiled spec (user_state/plan/plan.py), as far as folding obeys it. Names are those of plan/state_definitions.py.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "families/axes.hpp"

namespace user_state {

enum class Kind : std::uint8_t { kString, kFloat, kInt, kBool };

/// A condition on one field, or one made of others (user_state/plan/conditions.py).
struct Condition {
  enum class Is : std::uint8_t { kOneOf, kContains, kExists, kLess, kAtMost, kMore, kAtLeast, kNot, kAny, kAll } is;
  int field = 0;
  /// Accepted values, or the one that is compared with: of a string field texts, of a float field doubles, of others
  /// integers.
  std::vector<std::string> texts = {};
  std::vector<double> doubles = {};
  std::vector<std::int64_t> integers = {};
  /// What it is made of.
  std::vector<Condition> parts = {};
};

/// Accepts the events that meet all conditions.
struct Filter {
  std::vector<Condition> conditions;
};

struct Window {
  std::optional<std::int64_t> reach_s;
  std::int64_t width_s;
};

/// What an event weighs: 1 without a field, else by the field's text; 0 for texts without a weight, and null.
struct Weights {
  std::optional<int> field;
  std::map<std::string, double, std::less<>> of_text;
};

/// Numbers from `least` up to `end`, which is left out.
template <class Number>
struct Between {
  Number least;
  std::optional<Number> end;

  bool has(Number number) const { return number >= least && (!end || number < *end); }
};

struct Track {
  std::string kind;
  int filter;
  std::optional<int> of;
  /// Only events whose field lies there: of a float field doubles, of others integers.
  std::optional<Between<double>> doubles = {};
  std::optional<Between<std::int64_t>> integers = {};
};

struct Log {
  enum class Keeps : std::uint8_t { kLast, kDistinct, kFirst } keeps;
  int filter;
  std::optional<int> required;
  std::vector<int> fields;
  /// Of each field, what it is called: by name and kind a field is found again in another layout's log.
  std::vector<std::string> names;
  /// Of each field, whether it is the event time, which the section does not repeat (LogLayout.fields).
  std::vector<bool> is_time;
  std::int64_t cap;
  std::optional<std::int64_t> reach_us;
};

struct Decay {
  int filter;
  std::optional<int> of;
  std::vector<std::int64_t> half_lives_us;
};

struct Vectors {
  int filter;
  int of;
  int dimensions;
  std::vector<std::int64_t> half_lives_us;
  Weights weights;
  std::optional<int> weighed_by;
  int component_bytes;
};

struct LastSeen {
  bool of_days;
  int filter;
  std::optional<int> of;
  std::optional<std::int64_t> reach_s;
  std::int64_t cap;
};

struct Profile {
  bool of_hours;
  int filter;
  int bins;
  std::vector<std::int64_t> half_lives_us;
};

struct SessionTrack {
  int filter;
  std::int64_t gap_us;
  std::optional<Window> horizon;
  bool lifetime;
};

struct HllTrack {
  int filter;
  int of;
  int lg_k;
};

struct KllTrack {
  int filter;
  int of;
  int k;
};

struct KeyedTrack {
  int filter;
  std::vector<int> by;
  std::optional<int> of;
  std::int64_t most_keys;
};

struct KeyedDecay {
  int filter;
  std::vector<int> by;
  std::int64_t half_life_us;
  std::int64_t most_keys;
  Weights weights;
};

struct GapTrack {
  int filter;
};

/// A time zone's offsets from UTC (user_state/plan/local_time.py).
class LocalTime {
 public:
  LocalTime() = default;
  LocalTime(std::vector<std::int64_t> transitions_s, std::vector<std::int64_t> offsets_s);

  std::int64_t local_s(std::int64_t second) const;
  /// The local day, days being numbered without gaps.
  std::int64_t day(std::int64_t second) const;
  int hour(std::int64_t second) const;
  /// Monday is 0.
  int weekday(std::int64_t second) const;

 private:
  std::vector<std::int64_t> transitions_s_, offsets_s_, left_out_;
};

/// Everything that folding obeys.
struct Plan {
  std::int64_t allowed_lateness_us, max_clock_skew_us, skew_s;
  LocalTime local_time;
  std::vector<Kind> fields;
  /// Of each field, whether an event has a list of such values.
  std::vector<bool> is_list;
  std::vector<Filter> filters;
  std::vector<Track> tracks;
  std::vector<Log> logs;
  std::vector<Decay> decays;
  std::vector<Vectors> vectors;
  std::vector<LastSeen> last_seen;
  std::vector<Profile> profiles;
  std::vector<SessionTrack> sessions;
  std::vector<HllTrack> hlls;
  std::vector<KllTrack> klls;
  std::vector<KeyedTrack> keyed_tracks;
  std::vector<KeyedDecay> keyed_decays;
  std::vector<GapTrack> gaps;
  TrackAxes track_axes, log_axes, hll_axes, kll_axes, keyed_axes, gap_axes;
  /// Eight bytes that name the layout.
  std::string layout;
};

}  // namespace user_state
