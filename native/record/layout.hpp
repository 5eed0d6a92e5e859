// What a record of some spec holds (user_state/plan/layout.py), and how a record of another spec is read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "plan.hpp"

namespace user_state {

/// The pieces of state of each family, by the text of their definition, with the numbers that their bytes are cut by.
struct Layout {
  struct Track { std::string key, kind; };
  struct Log { std::string key; /** Names and kinds. */ std::vector<std::pair<std::string, std::string>> fields; };
  struct Decay { std::string key; std::size_t half_lives; };
  struct Vectors { std::string key; std::size_t half_lives; int dimensions, component_bytes; };
  struct LastSeen { std::string key, kind; };
  struct Profile { std::string key; std::size_t half_lives; int bins; };
  struct Session { std::string key; };
  struct Hll { std::string key; int lg_k; };
  struct Kll { std::string key; int k; };
  struct KeyedTrack { std::string key; std::vector<std::string> kinds; bool sums; };
  struct KeyedDecay { std::string key; std::vector<std::string> kinds; };
  struct Gap { std::string key; };

  /// Eight bytes that name it.
  std::string fingerprint;
  /// How far before the user's clock its records can be read, by what they keep; nothing if all they hold is decayed.
  std::optional<std::int64_t> skew_us;
  std::vector<Track> tracks;
  std::vector<Log> logs;
  std::vector<Decay> decays;
  std::vector<Vectors> vectors;
  std::vector<LastSeen> last_seen;
  std::vector<Profile> profiles;
  std::vector<Session> sessions;
  std::vector<Hll> hlls;
  std::vector<Kll> klls;
  std::vector<KeyedTrack> keyed_tiles;
  std::vector<KeyedDecay> keyed_decays;
  std::vector<Gap> gaps;
};

/// Returns what reads records of a layout: a plan with the layout's pieces. Those that `now`, whose layout is `of_now`,
/// still has are its own, but for the numbers that bytes are cut by; of others nothing else is known. No event can be
/// folded by such a plan.
Plan plan_of_layout(const Plan& now, const Layout& of_now, const Layout& layout);

/// Returns for each of some pieces where the one of the same definition is among others, -1 if it is not.
template <class Piece>
std::vector<int> moved(const std::vector<Piece>& from, const std::vector<Piece>& to) {
  std::vector<int> places;
  for (const Piece& piece : from) {
    int place = -1;
    for (std::size_t at = 0; at < to.size() && place < 0; ++at) {
      if (to[at].key == piece.key) place = static_cast<int>(at);
    }
    places.push_back(place);
  }
  return places;
}

}  // namespace user_state
