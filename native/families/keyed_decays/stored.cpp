#include "families/keyed_decays/stored.hpp"

namespace user_state {

void StoredKeyedDecays::read(Reader in, std::size_t strings) {
  groups.clear();
  times_us.assign(shapes_.tracks(), 0);
  std::size_t left = in.left();
  if (left == 0) return;
  read_columns(in, columns, shapes_);
  need(columns.begun > 0, "decays of which there are none");
  std::uint32_t rows = 0;
  std::size_t rests = 0;
  for (std::size_t at = 0; at < columns.begun; ++at) {
    std::uint64_t track = columns.tracks[at], keys_of = columns.keys[at];
    need(at == 0 || track > columns.tracks[at - 1], "decays that are not in order");
    need(keys_of <= kMostKeys && keys_of <= left, "a decay with too many keys");
    need(columns.rests[at] <= 1, "a decay with several rests");
    left -= keys_of;
    std::int64_t time_us = columns.times_us[at];
    need(time_us > 0 && time_us < kTooLarge, "invalid time of the newest event");
    times_us[track] = time_us;
    Group& group = groups.emplace_back();
    static_cast<GroupName&>(group) = {0, static_cast<int>(track)};
    group.at = rows;
    group.keys = static_cast<std::uint32_t>(keys_of);
    if (columns.rests[at] == 1) {
      group.rest = columns.rest_weights[rests++];
      need(group.rest > 0, "a rest of nothing");
    }
    rows += group.keys;
  }
  keys.read(columns.texts, columns.numbers, groups, strings);
  for (std::size_t row = 0; row < rows; ++row) need(columns.weights[row] > 0, "a key with a count of 0");
}

std::string describe_keyed_decays() { return describe_columns<KeyedDecayColumns<Stored>>(KeyShapes()); }

}  // namespace user_state
