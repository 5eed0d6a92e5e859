#include "families/last_seen/stored.hpp"

#include <algorithm>
#include <limits>

namespace user_state {

bool is_settled(const std::vector<Seen>& rows) {
  auto not_after = [](const Seen& a, const Seen& b) { return a.value >= b.value; };
  return std::ranges::adjacent_find(rows, not_after) == rows.end();
}

void settle(std::vector<Seen>& rows) {
  if (is_settled(rows)) return;
  std::ranges::sort(rows, [](const Seen& a, const Seen& b) {
    return a.value != b.value ? a.value < b.value : a.second < b.second;
  });
  std::size_t kept = 0;
  for (std::size_t at = 0; at < rows.size(); ++at) {
    if (at + 1 == rows.size() || rows[at + 1].value != rows[at].value) rows[kept++] = rows[at];
  }
  rows.resize(kept);
}

void StoredLastSeen::read(Reader in) {
  LastSeenColumns<Stored> columns;
  read_columns(in, columns, of_days_);
  std::int64_t newest_s = columns.newest_s;
  std::size_t at = 0, valued = 0;
  for (std::size_t track = 0; track < rows.size(); ++track) {
    rows[track].resize(columns.sizes[track]);
    for (Seen& row : rows[track]) {
      row = {0, newest_s - static_cast<std::int64_t>(columns.ages_s[at++])};
      need(row.second >= 0, "a row was last seen before 1970");
    }
    if (of_days_[track]) continue;
    for (Seen& row : rows[track]) row.value = columns.values[valued++];
    need(is_settled(rows[track]), "values are not ascending");
  }
}

void StoredLastSeen::write(Writer& out) const {
  std::int64_t newest_s = 0;
  fresh_.sizes.clear(), fresh_.ages_s.clear(), fresh_.values.clear();
  for (const auto& of_track : rows) {
    need(of_track.size() <= std::numeric_limits<std::uint16_t>::max(), "a track has too many rows");
    fresh_.sizes.push_back(static_cast<std::uint16_t>(of_track.size()));
    for (const Seen& row : of_track) newest_s = std::max(newest_s, row.second);
  }
  need(newest_s <= std::numeric_limits<std::uint32_t>::max(), "a time is too far ahead");
  fresh_.newest_s = static_cast<std::uint32_t>(newest_s);
  for (std::size_t track = 0; track < rows.size(); ++track) {
    append(fresh_.ages_s, rows[track], [&](const Seen& row) { return newest_s - row.second; });
    if (!of_days_[track]) append(fresh_.values, rows[track], [](const Seen& row) { return row.value; });
  }
  fresh_.flags = fresh_.ages_s.flags();
  write_columns(out, fresh_, of_days_);
}

std::string describe_last_seen() { return describe_columns<LastSeenColumns<Stored>>(std::vector<bool>()); }

}  // namespace user_state
