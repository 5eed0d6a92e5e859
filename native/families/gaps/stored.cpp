#include "families/gaps/stored.hpp"

#include <algorithm>

namespace user_state {

namespace {

/// Returns a time that is so much before another.
std::int64_t before(std::int64_t time_us, std::uint64_t earlier_us) {
  need(earlier_us <= static_cast<std::uint64_t>(time_us), "an event is before 1970");
  return time_us - static_cast<std::int64_t>(earlier_us);
}

GapTile tile_of(const GapColumns<Stored>& columns, std::size_t at) {
  std::int64_t last_us = before(columns.newest_us, columns.ages_us[at]);
  std::int64_t first_us = before(last_us, columns.lengths_us[at]);
  std::int64_t start_s = columns.starts_s[at];
  need(first_us >= start_s * kSecondUs, "an event is before its tile");
  std::uint64_t length_us = columns.lengths_us[at], longest = columns.longest[at];
  // A single event has no length; of several, no gap is longer than all, and none is 0 unless all are at one time.
  need(longest <= length_us + 1 && (length_us == 0 || longest > 1), "a gap does not fit between its events");
  return {start_s, {first_us, last_us, static_cast<std::int64_t>(longest) + Stretch::kOneEvent}};
}

}  // namespace

void StoredGaps::read(Reader in) {
  GapColumns<Stored> columns;
  read_columns(in, columns, tracks.size());
  need(columns.newest_us >= 0 && columns.newest_us < kTooLarge, "invalid newest event");
  std::size_t at = 0, time = 0;
  for (std::size_t track = 0; track < tracks.size(); ++track) {
    auto& [tiles, open_us] = tracks[track];
    tiles.clear(), open_us.clear();
    for (std::size_t end = at + columns.tiles[track]; at < end; ++at) {
      need(tiles.empty() || tiles.back().start_s < columns.starts_s[at], "tiles are not in order");
      tiles.push_back(tile_of(columns, at));
    }
    std::int64_t time_us = columns.newest_us;
    for (std::size_t end = time + columns.open[track]; time < end; ++time) {
      time_us = before(time_us, columns.earlier_us[time]);
      need(open_us.size() < kMostAtOnce || open_us.end()[-2] > time_us, "more times are alike than matter");
      open_us.push_back(time_us);
    }
    std::ranges::reverse(open_us);
  }
}

void StoredGaps::write(Writer& out) const {
  GapColumns<Fresh>& fresh = fresh_;
  fresh.newest_us = 0;
  fresh.tiles.clear(), fresh.open.clear(), fresh.starts_s.clear();
  for (auto* column : {&fresh.lengths_us, &fresh.longest}) column->clear();
  fresh.ages_us.clear(), fresh.earlier_us.clear();
  for (const TrackGaps& track : tracks) {
    fresh.tiles.push_back(static_cast<std::uint32_t>(track.tiles.size()));
    fresh.open.push_back(static_cast<std::uint32_t>(track.open_us.size()));
    for (const GapTile& tile : track.tiles) fresh.newest_us = std::max(fresh.newest_us, tile.held.last_us);
    if (!track.open_us.empty()) fresh.newest_us = std::max(fresh.newest_us, track.open_us.back());
  }
  auto put = [](auto& column, std::int64_t number) { column.push_back(static_cast<std::uint64_t>(number)); };
  for (const TrackGaps& track : tracks) {
    for (const auto& [start_s, held] : track.tiles) {
      fresh.starts_s.push_back(static_cast<std::uint32_t>(start_s));
      put(fresh.ages_us, fresh.newest_us - held.last_us);
      put(fresh.lengths_us, held.last_us - held.first_us);
      put(fresh.longest, held.longest_us - Stretch::kOneEvent);
    }
    std::int64_t later_us = fresh.newest_us;
    for (std::size_t at = track.open_us.size(); at-- > 0; later_us = track.open_us[at]) {
      put(fresh.earlier_us, later_us - track.open_us[at]);
    }
  }
  fresh.flags = fresh.ages_us.flags() | fresh.lengths_us.flags() | fresh.longest.flags() | fresh.earlier_us.flags();
  write_columns(out, fresh, tracks.size());
}

std::string describe_gaps() { return describe_columns<GapColumns<Stored>>(std::size_t{1}); }

}  // namespace user_state
