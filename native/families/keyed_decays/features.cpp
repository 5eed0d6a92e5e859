// Recent items by decayed count: user_state/core/tables.py says what they are, codec/keyed_decays.py has the bytes.
#include "families/decaying.hpp"
#include "families/keyed/keyed.hpp"

namespace user_state::reading {

namespace {

class KeyedDecays : public Part {
 public:
  explicit KeyedDecays(const Program& program) : program_(program), keys_(program.keyed_decays) {}

  void set_time(std::int64_t at_us) override { at_us_ = at_us; }

  void read(Reader in, const Row& row) override {
    take(in);
    for (std::size_t decay = 0; decay < program_.keyed_decays.size(); ++decay) {
      auto found = std::ranges::find(groups_, static_cast<int>(decay), &KeyGroup::track);
      bool some = found != groups_.end();
      KeyGroup group = some ? *found : KeyGroup{};
      std::int64_t time_us = some ? times_us_[static_cast<std::size_t>(found - groups_.begin())] : 0;
      take_keys(group, row);
      for (const DecayedTable& table : program_.decayed_tables) {
        if (table.decay == static_cast<int>(decay)) put(table, group, time_us, row);
      }
    }
  }

 private:
  void take(Reader& in) {
    groups_.clear();
    std::size_t left = in.left();
    if (left == 0) return;
    std::size_t tracks = in.take<std::uint16_t>();
    std::array<std::uint8_t, 5> widths;
    for (std::uint8_t& width : widths) width = in.take<std::uint8_t>();
    need(tracks > 0);
    NarrowView held(in, widths[0], tracks), keys(in, widths[1], tracks), rests(in, widths[2], tracks);
    std::size_t rows = 0, of_rest = 0;
    for (std::size_t at = 0; at < tracks; ++at) {
      need(held[at] < program_.keyed_decays.size() && (at == 0 || held[at] > held[at - 1]));
      need(keys[at] <= kMostKeys && keys[at] <= left && rests[at] <= 1);
      left -= keys[at];
      KeyGroup group;
      group.track = static_cast<int>(held[at]);
      group.keys = static_cast<std::uint32_t>(keys[at]);
      group.rest = rests[at];
      group.at = rows, group.rest_at = of_rest;
      groups_.push_back(group);
      rows += keys[at], of_rest += rests[at];
    }
    keys_.read(in, widths[3], widths[4], groups_);
    times_us_ = in.packed<std::int64_t>(tracks);
    weights_ = in.packed<double>(rows);
    rest_weights_ = in.packed<double>(of_rest);
    in.end();
    for (std::size_t at = 0; at < tracks; ++at) need(times_us_[at] > 0 && times_us_[at] < kTooLarge);
    for (std::size_t at = 0; at < rows; ++at) need(weights_[at] > 0);
    for (std::size_t at = 0; at < of_rest; ++at) need(rest_weights_[at] > 0);
  }

  void take_keys(const KeyGroup& group, const Row& row) {
    call_keys_.clear();
    SectionKey before{};
    for (std::size_t at = 0; at < group.keys; ++at) {
      SectionKey stored = keys_.stored(group, at);
      need(at == 0 || before < stored);
      before = stored;
      call_keys_.push_back(keys_.of_call(stored, group.track, row));
    }
    in_order(call_keys_, order_);
  }

  void put(const DecayedTable& table, const KeyGroup& group, std::int64_t time_us, const Row& row) {
    const KeyedPart& part = program_.keyed_decays[table.decay];
    double total = 0;
    heaviest_.begin(table.most);
    for (std::size_t key : order_) {
      heaviest_.add(key, ordinal(weights_[group.at + key]));
      total += weights_[group.at + key];
    }
    if (group.rest > 0) total += rest_weights_[group.rest_at];
    std::int64_t age = age_us(at_us_, time_us);
    // Beside shares, counts read before the newest event are as of that.
    if (table.share) age = std::max<std::int64_t>(age, 0);
    double left = left_of_one(age, part.half_life_us);
    std::size_t column = heaviest_.put_keys(table.list, part, call_keys_, row);
    heaviest_.put_real(table.list, column, row, [&](std::size_t key) { return weights_[group.at + key] * left; });
    if (!table.share) return;
    heaviest_.put_real(table.list, column + 1, row, [&](std::size_t key) { return weights_[group.at + key] / total; });
  }

  const Program& program_;
  SectionKeys keys_;
  std::int64_t at_us_ = 0;
  std::vector<KeyGroup> groups_;
  Packed<std::int64_t> times_us_;
  Packed<double> weights_, rest_weights_;
  std::vector<CallKey> call_keys_;
  std::vector<std::size_t> order_;
  Heaviest heaviest_;
};

}  // namespace

std::unique_ptr<Part> make_keyed_decays(const Program& program) { return std::make_unique<KeyedDecays>(program); }

}  // namespace user_state::reading
