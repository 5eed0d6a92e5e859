#include "record/layout.hpp"

#include <stdexcept>

#include "families/tiles/tile_values.hpp"

namespace user_state {

namespace {

/// Of a column of a log or of keys; times are whole numbers.
Kind kind_of(const std::string& name) {
  if (name == "string") return Kind::kString;
  if (name == "float") return Kind::kFloat;
  if (name == "bool") return Kind::kBool;
  if (name == "int" || name == "time") return Kind::kInt;
  throw std::invalid_argument("expected a column of a kind that this release knows, got \"" + name + "\"");
}

/// Returns a field of a kind, which is added if there is none.
int field_of(Plan& plan, Kind kind) {
  for (std::size_t field = 0; field < plan.fields.size(); ++field) {
    if (plan.fields[field] == kind) return static_cast<int>(field);
  }
  plan.fields.push_back(kind);
  return static_cast<int>(plan.fields.size()) - 1;
}

std::vector<int> fields_of(Plan& plan, const std::vector<std::string>& kinds) {
  std::vector<int> fields;
  for (const std::string& kind : kinds) fields.push_back(field_of(plan, kind_of(kind)));
  return fields;
}

/// Returns the pieces that a layout holds: a copy of the one of the same definition, if there is one, which `cut` gives
/// the numbers that the layout's bytes are cut by.
template <class Held, class Piece, class Cut>
std::vector<Piece> pieces_of(const std::vector<Held>& held, const std::vector<Held>& held_now,
                             const std::vector<Piece>& now, Cut cut) {
  std::vector<Piece> pieces;
  std::vector<int> places = moved(held, held_now);
  for (std::size_t at = 0; at < held.size(); ++at) {
    Piece piece = places[at] < 0 ? Piece{} : now[static_cast<std::size_t>(places[at])];
    cut(piece, held[at]);
    pieces.push_back(std::move(piece));
  }
  return pieces;
}

/// Half-lives of which only the number is known decay nothing: they are those of pieces that are dropped.
void cut_half_lives(std::vector<std::int64_t>& half_lives_us, std::size_t size) { half_lives_us.resize(size, 1); }

}  // namespace

Plan plan_of_layout(const Plan& now, const Layout& of_now, const Layout& layout) {
  Plan plan = now;
  plan.layout = layout.fingerprint;
  plan.tracks = pieces_of(layout.tracks, of_now.tracks, now.tracks, [](Track& track, const Layout::Track& held) {
    (void)held_by(held.kind);  // one that is not known is refused here, before any record is read
    track.kind = held.kind;
  });
  plan.logs = pieces_of(layout.logs, of_now.logs, now.logs, [&plan](Log& log, const Layout::Log& held) {
    // Rows are taken as they lie: whatever else a log says is the new one's to say.
    log.keeps = Log::Keeps::kLast;
    log.required.reset();
    log.fields.clear(), log.names.clear(), log.is_time.clear();
    for (const auto& [name, kind] : held.fields) {
      log.fields.push_back(field_of(plan, kind_of(kind)));
      log.names.push_back(name);
      log.is_time.push_back(kind == "time");
    }
  });
  plan.decays = pieces_of(layout.decays, of_now.decays, now.decays, [](Decay& decay, const Layout::Decay& held) {
    cut_half_lives(decay.half_lives_us, held.half_lives);
  });
  plan.vectors = pieces_of(layout.vectors, of_now.vectors, now.vectors, [](Vectors& vectors, const Layout::Vectors& held) {
    cut_half_lives(vectors.half_lives_us, held.half_lives);
    vectors.dimensions = held.dimensions;
    vectors.component_bytes = held.component_bytes;
  });
  plan.last_seen = pieces_of(layout.last_seen, of_now.last_seen, now.last_seen,
                             [](LastSeen& track, const Layout::LastSeen& held) { track.of_days = held.kind == "days"; });
  plan.profiles = pieces_of(layout.profiles, of_now.profiles, now.profiles, [](Profile& profile, const Layout::Profile& held) {
    cut_half_lives(profile.half_lives_us, held.half_lives);
    profile.bins = held.bins;
  });
  plan.sessions = pieces_of(layout.sessions, of_now.sessions, now.sessions, [](SessionTrack&, const Layout::Session&) {});
  plan.hlls = pieces_of(layout.hlls, of_now.hlls, now.hlls,
                        [](HllTrack& track, const Layout::Hll& held) { track.lg_k = held.lg_k; });
  plan.klls = pieces_of(layout.klls, of_now.klls, now.klls, [](KllTrack& track, const Layout::Kll& held) { track.k = held.k; });
  plan.keyed_tracks = pieces_of(layout.keyed_tiles, of_now.keyed_tiles, now.keyed_tracks,
                                [&plan](KeyedTrack& track, const Layout::KeyedTrack& held) {
                                  track.by = fields_of(plan, held.kinds);
                                  track.of = held.sums ? std::optional(0) : std::nullopt;
                                });
  plan.keyed_decays = pieces_of(layout.keyed_decays, of_now.keyed_decays, now.keyed_decays,
                                [&plan](KeyedDecay& decay, const Layout::KeyedDecay& held) { decay.by = fields_of(plan, held.kinds); });
  plan.gaps = pieces_of(layout.gaps, of_now.gaps, now.gaps, [](GapTrack&, const Layout::Gap&) {});
  plan.track_axes = plan.log_axes = plan.hll_axes = plan.kll_axes = plan.keyed_axes = plan.gap_axes = {};
  return plan;
}

}  // namespace user_state
