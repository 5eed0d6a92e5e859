#include "families/keyed_decays/stored.hpp"

namespace user_state {

/// Takes groups in as soon as it is known what they have, which settles how long the other columns are.
class StoredKeyedDecays::Counting {
 public:
  Counting(StoredKeyedDecays& held, std::size_t length) : held_(held), length_(length) {}

  void count(const KeyedDecayColumns<Stored>& columns) const {
    need(columns.begun > 0, "decays of which there are none");
    std::size_t left = length_;
    held_.keys.begin();
    for (std::size_t at = 0; at < columns.begun; ++at) {
      std::uint64_t track = columns.tracks[at], keys = columns.keys[at];
      need(track < held_.times_us.size(), "a decay that there is not");
      need(at == 0 || track > columns.tracks[at - 1], "decays that are not in order");
      need(keys <= kMostKeys && keys <= left, "a decay with too many keys");
      need(columns.rests[at] <= 1, "a decay with several rests");
      left -= keys;
      Group& group = held_.groups.emplace_back();
      static_cast<GroupName&>(group) = {0, static_cast<int>(track)};
      group.at = keys_;
      group.keys = static_cast<std::uint32_t>(keys);
      held_.keys.add(group);
      keys_ += group.keys;
      rests_ += columns.rests[at] == 1;
    }
  }
  std::size_t texts() const { return held_.keys.parts(true); }
  std::size_t numbers() const { return held_.keys.parts(false); }
  std::size_t keys() const { return keys_; }
  std::size_t rests() const { return rests_; }

 private:
  StoredKeyedDecays& held_;
  const std::size_t length_;
  mutable std::uint32_t keys_ = 0, rests_ = 0;
};

void StoredKeyedDecays::read(Reader in, std::size_t strings) {
  groups.clear();
  std::ranges::fill(times_us, 0);
  if (in.left() == 0) return;
  read_columns(in, columns, Counting(*this, in.left()));
  std::size_t rests = 0;
  for (std::size_t at = 0; at < groups.size(); ++at) {
    std::int64_t time_us = columns.times_us[at];
    need(time_us > 0 && time_us < kTooLarge, "invalid time of the newest event");
    times_us[static_cast<std::size_t>(groups[at].track)] = time_us;
    if (columns.rests[at] == 0) continue;
    groups[at].rest = columns.rest_weights[rests++];
    need(groups[at].rest > 0, "a rest of nothing");
  }
  keys.read(columns.texts, columns.numbers, groups, strings);
  for (std::size_t at = 0; at < columns.weights.size(); ++at) need(columns.weights[at] > 0, "a key with a count of 0");
}

std::string describe_keyed_decays() { return describe_columns<KeyedDecayColumns<Stored>>(KeyedShape()); }

}  // namespace user_state
