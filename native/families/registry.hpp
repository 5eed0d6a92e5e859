// The families of state that a record is made of: the only list of them.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "families/family.hpp"
#include "families/part.hpp"
#include "record/layout.hpp"

namespace user_state {

// Each is in the folder of its family: a line for every column of its section.
std::string describe_tiles();
std::string describe_logs();
std::string describe_decays();
std::string describe_vectors();
std::string describe_last_seen();
std::string describe_profiles();
std::string describe_sessions();
std::string describe_hlls();
std::string describe_klls();
std::string describe_keyed_tiles();
std::string describe_keyed_decays();
std::string describe_gaps();

struct FamilyEntry {
  /// Of its section.
  std::string_view name;
  /// Whether sections name strings of the dictionary.
  bool names_strings;

  /// Whether a plan has pieces of it, and what holds those of one record.
  bool (*in_plan)(const Plan&);
  std::unique_ptr<Family> (*make)(const Plan&);
  /// Where the pieces of one layout are in another.
  std::vector<int> (*moved)(const Layout& from, const Layout& to);
  /// Marks the events that any of a plan's pieces takes (takes.hpp).
  void (*mark)(const Plan&, const Events&, std::span<std::uint8_t> taken);

  /// Whether a program's records have it, whether outputs are read from it, and what reads them.
  bool (*in_program)(const reading::Program&);
  bool (*is_asked)(const reading::Program&);
  std::unique_ptr<reading::Part> (*make_part)(const reading::Program&);

  /// For docs/record.md.
  std::string (*describe)();
};

/// In the order of a record's sections; the dictionary stands before them.
inline constexpr std::array kFamilies{
    FamilyEntry{
        "tiles",
        false,
        [](const Plan& p) { return !p.tracks.empty(); },
        make_tiles,
        [](const Layout& from, const Layout& to) { return moved(from.tracks, to.tracks); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.tracks, e, taken); },
        [](const reading::Program& p) { return !p.tracks.empty(); },
        [](const reading::Program& p) { return !p.numbers.empty(); },
        reading::make_tiles,
        describe_tiles,
    },
    FamilyEntry{
        "logs",
        true,
        [](const Plan& p) { return !p.logs.empty(); },
        make_logs,
        [](const Layout& from, const Layout& to) { return moved(from.logs, to.logs); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.logs, e, taken); },
        [](const reading::Program& p) { return !p.logs.empty(); },
        [](const reading::Program& p) { return !p.logged.empty() || !p.log_lists.empty(); },
        reading::make_logs,
        describe_logs,
    },
    FamilyEntry{
        "decays",
        false,
        [](const Plan& p) { return !p.decays.empty(); },
        make_decays,
        [](const Layout& from, const Layout& to) { return moved(from.decays, to.decays); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.decays, e, taken); },
        [](const reading::Program& p) { return !p.decay_half_lives_us.empty(); },
        [](const reading::Program& p) { return !p.decayed.empty(); },
        reading::make_decays,
        describe_decays,
    },
    FamilyEntry{
        "vectors",
        false,
        [](const Plan& p) { return !p.vectors.empty(); },
        make_vectors,
        [](const Layout& from, const Layout& to) { return moved(from.vectors, to.vectors); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.vectors, e, taken); },
        [](const reading::Program& p) { return !p.vector_parts.empty(); },
        [](const reading::Program& p) { return !p.vectors.empty(); },
        reading::make_vectors,
        describe_vectors,
    },
    FamilyEntry{
        "last_seen",
        false,
        [](const Plan& p) { return !p.last_seen.empty(); },
        make_last_seen,
        [](const Layout& from, const Layout& to) { return moved(from.last_seen, to.last_seen); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.last_seen, e, taken); },
        [](const reading::Program& p) { return !p.last_seen_days.empty(); },
        [](const reading::Program& p) { return !p.last_seen.empty(); },
        reading::make_last_seen,
        describe_last_seen,
    },
    FamilyEntry{
        "profiles",
        false,
        [](const Plan& p) { return !p.profiles.empty(); },
        make_profiles,
        [](const Layout& from, const Layout& to) { return moved(from.profiles, to.profiles); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.profiles, e, taken); },
        [](const reading::Program& p) { return !p.profile_parts.empty(); },
        [](const reading::Program& p) { return !p.profiles.empty(); },
        reading::make_profiles,
        describe_profiles,
    },
    FamilyEntry{
        "sessions",
        false,
        [](const Plan& p) { return !p.sessions.empty(); },
        make_sessions,
        [](const Layout& from, const Layout& to) { return moved(from.sessions, to.sessions); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.sessions, e, taken); },
        [](const reading::Program& p) { return !p.session_gaps_us.empty(); },
        [](const reading::Program& p) { return !p.sessions.empty(); },
        reading::make_sessions,
        describe_sessions,
    },
    FamilyEntry{
        "hlls",
        false,
        [](const Plan& p) { return !p.hlls.empty(); },
        make_hlls,
        [](const Layout& from, const Layout& to) { return moved(from.hlls, to.hlls); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.hlls, e, taken); },
        [](const reading::Program& p) { return !p.hll_lg_ks.empty(); },
        [](const reading::Program& p) { return !p.distinct.empty(); },
        reading::make_hlls,
        describe_hlls,
    },
    FamilyEntry{
        "klls",
        false,
        [](const Plan& p) { return !p.klls.empty(); },
        make_klls,
        [](const Layout& from, const Layout& to) { return moved(from.klls, to.klls); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.klls, e, taken); },
        [](const reading::Program& p) { return !p.kll_ks.empty(); },
        [](const reading::Program& p) { return !p.quantiles.empty(); },
        reading::make_klls,
        describe_klls,
    },
    FamilyEntry{
        "keyed_tiles",
        true,
        [](const Plan& p) { return !p.keyed_tracks.empty(); },
        make_keyed_tiles,
        [](const Layout& from, const Layout& to) { return moved(from.keyed_tiles, to.keyed_tiles); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.keyed_tracks, e, taken); },
        [](const reading::Program& p) { return !p.keyed_tracks.empty(); },
        [](const reading::Program& p) { return !p.tables.empty() || !p.entropies.empty(); },
        reading::make_keyed_tiles,
        describe_keyed_tiles,
    },
    FamilyEntry{
        "keyed_decays",
        true,
        [](const Plan& p) { return !p.keyed_decays.empty(); },
        make_keyed_decays,
        [](const Layout& from, const Layout& to) { return moved(from.keyed_decays, to.keyed_decays); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.keyed_decays, e, taken); },
        [](const reading::Program& p) { return !p.keyed_decays.empty(); },
        [](const reading::Program& p) { return !p.decayed_tables.empty(); },
        reading::make_keyed_decays,
        describe_keyed_decays,
    },
    FamilyEntry{
        "gaps",
        false,
        [](const Plan& p) { return !p.gaps.empty(); },
        make_gaps,
        [](const Layout& from, const Layout& to) { return moved(from.gaps, to.gaps); },
        [](const Plan& p, const Events& e, std::span<std::uint8_t> taken) { mark_taken(p.gaps, e, taken); },
        [](const reading::Program& p) { return p.gap_tracks > 0; },
        [](const reading::Program& p) { return !p.gaps.empty(); },
        reading::make_gaps,
        describe_gaps,
    },
};

/// Which events any family takes: all others are folded into nothing.
inline std::vector<std::uint8_t> relevant(const Plan& plan, const Events& events) {
  std::vector<std::uint8_t> taken(events.size());
  for (const FamilyEntry& family : kFamilies) family.mark(plan, events, taken);
  return taken;
}

/// How many sections a record has, its dictionary, the first, among them.
inline constexpr std::size_t kSections = 1 + kFamilies.size();

inline constexpr std::string_view name_of_section(std::size_t section) {
  return section == 0 ? std::string_view("strings") : kFamilies[section - 1].name;
}

}  // namespace user_state
