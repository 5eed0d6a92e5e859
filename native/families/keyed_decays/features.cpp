// Recent items by decayed count, the heaviest first; counts are compared in single precision, and equal ones are listed
// by key ascending (families/keyed_tiles/features.cpp). families/keyed_decays/fold.cpp says what C, T and H are.
//
//     count   C 2^-((at - T)/H)
//     share   C / N               N is the C of all keys and the rest; the reading time cancels
//
// Counts that stand beside shares are, read at a time before T, as of T.
#include "families/decaying.hpp"
#include "families/keyed/keyed.hpp"
#include "families/keyed_decays/stored.hpp"

namespace user_state::reading {

namespace {

class KeyedDecays : public Part {
 public:
  explicit KeyedDecays(const Program& program)
      : program_(program), shapes_(shapes_of(program.keyed_decays)), held_(shapes_) {}

  void set_time(std::int64_t at_us) override { at_us_ = at_us; }

  void read(Reader in, const Row& row) override {
    held_.read(in, row.strings);
    auto found = held_.groups.begin();
    for (std::size_t decay = 0; decay < program_.keyed_decays.size(); ++decay) {
      bool some = found != held_.groups.end() && found->track == static_cast<int>(decay);
      const KeyedGroup<double> group = some ? *found++ : KeyedGroup<double>{};
      call_keys_.clear();
      if (some) {
        held_.keys.each_key(group, [&](std::size_t, const Key& key) {
          call_keys_.push_back(of_call(key, shapes_, static_cast<int>(decay), row));
        });
      }
      in_order(call_keys_, order_);
      for (const DecayedTable& table : program_.decayed_tables) {
        if (table.decay == static_cast<int>(decay)) put(table, group, held_.times_us[decay], row);
      }
    }
  }

 private:
  void put(const DecayedTable& table, const KeyedGroup<double>& group, std::int64_t time_us, const Row& row) {
    const KeyedPart& part = program_.keyed_decays[table.decay];
    double total = 0;
    heaviest_.begin(table.most);
    for (std::size_t key : order_) {
      heaviest_.add(key, ordinal(held_.weight(group, key)));
      total += held_.weight(group, key);
    }
    total += group.rest;
    std::int64_t age = age_us(at_us_, time_us);
    // Beside shares, counts read before the newest event are as of that.
    if (table.share) age = std::max<std::int64_t>(age, 0);
    double left = left_of_one(age, part.half_life_us);
    std::size_t column = heaviest_.put_keys(table.list, part, call_keys_, row);
    heaviest_.put_real(table.list, column, row, [&](std::size_t key) { return held_.weight(group, key) * left; });
    if (!table.share) return;
    heaviest_.put_real(table.list, column + 1, row, [&](std::size_t key) { return held_.weight(group, key) / total; });
  }

  const Program& program_;
  const KeyShapes shapes_;
  StoredKeyedDecays held_;
  std::int64_t at_us_ = 0;
  std::vector<CallKey> call_keys_;
  std::vector<std::size_t> order_;
  Heaviest heaviest_;
};

}  // namespace

std::unique_ptr<Part> make_keyed_decays(const Program& program) { return std::make_unique<KeyedDecays>(program); }

}  // namespace user_state::reading
