// Which events each piece of state takes: the one rule, by which families fold and by which events are screened before
// they travel. A piece without a `takes` of its own is no part of a family.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "events/events.hpp"
#include "plan.hpp"

namespace user_state {

/// Whether no field of an event is null.
inline bool has_all(const std::vector<int>& fields, const Events& events, std::uint32_t row) {
  for (int field : fields) {
    if (!events.has(field, row)) return false;
  }
  return true;
}

/// Whether an event passes the filter of a piece, and has its field, if it has one.
inline bool passes(int filter, const std::optional<int>& of, const Events& events, std::uint32_t row) {
  return events.matches(filter, row) && (!of || events.has(*of, row));
}

inline bool takes(const Track& track, const Events& events, std::uint32_t row) {
  if (!passes(track.filter, track.of, events, row)) return false;
  if (track.doubles) return track.doubles->has(events.real(*track.of, row));
  return !track.integers || track.integers->has(events.integer(*track.of, row));
}

inline bool takes(const Log& log, const Events& events, std::uint32_t row) {
  return passes(log.filter, log.required, events, row);
}

inline bool takes(const Decay& decay, const Events& events, std::uint32_t row) {
  return passes(decay.filter, decay.of, events, row);
}

inline bool takes(const Vectors& vectors, const Events& events, std::uint32_t row) {
  return passes(vectors.filter, vectors.of, events, row) &&
         (vectors.weighed_by || events.weight(vectors.weights, row) != 0);
}

inline bool takes(const LastSeen& track, const Events& events, std::uint32_t row) {
  return passes(track.filter, track.of, events, row);
}

inline bool takes(const Profile& profile, const Events& events, std::uint32_t row) {
  return events.matches(profile.filter, row);
}

inline bool takes(const SessionTrack& track, const Events& events, std::uint32_t row) {
  return events.matches(track.filter, row);
}

inline bool takes(const HllTrack& track, const Events& events, std::uint32_t row) {
  return passes(track.filter, track.of, events, row);
}

inline bool takes(const KllTrack& track, const Events& events, std::uint32_t row) {
  return passes(track.filter, track.of, events, row);
}

inline bool takes(const KeyedTrack& track, const Events& events, std::uint32_t row) {
  return passes(track.filter, track.of, events, row) && has_all(track.by, events, row);
}

inline bool takes(const KeyedDecay& decay, const Events& events, std::uint32_t row) {
  return events.matches(decay.filter, row) && has_all(decay.by, events, row) &&
         events.weight(decay.weights, row) > 0;
}

inline bool takes(const GapTrack& track, const Events& events, std::uint32_t row) {
  return events.matches(track.filter, row);
}

/// Sets to 1 what stands for the events that any of the pieces takes.
template <class Piece>
void mark_taken(const std::vector<Piece>& pieces, const Events& events, std::span<std::uint8_t> taken) {
  for (const Piece& piece : pieces) {
    for (std::uint32_t row = 0; row < taken.size(); ++row) {
      if (!taken[row] && takes(piece, events, row)) taken[row] = 1;
    }
  }
}

}  // namespace user_state
