// Tables of the heaviest keys of a window, and the entropy of its keys.
//
// Keys are listed by weight, the heaviest first, equal ones by key ascending: numbers by size, false before true, texts
// by code point, keys of several parts part by part. Weights are counts; or sums or means, which are compared in single
// precision, so that the order does not depend on how a sum was rounded.
//
//     share     n / N            n is a key's count, N that of all events of the window that have a key
//     mean      sum / n
//     entropy   -sum of p ln p   p is a key's share; in nats; the rest of keys no longer kept counts as one further key
//
// Counts and sums are those of the events kept for the key: families/keyed/keyed_rows.hpp says what may be missing.
#include <cmath>

#include "codec/keyed_hash.hpp"
#include "families/keyed/keyed.hpp"
#include "families/keyed_tiles/stored.hpp"

namespace user_state::reading {

namespace {

/// What the keys of one track come to in each window.
class Totals {
 public:
  void begin(std::size_t windows, bool sums, std::size_t strings, bool one_text, std::size_t most) {
    windows_ = windows, sums_kept_ = sums, one_text_ = one_text;
    keys_.clear(), counts_.clear(), sums_.clear();
    // A key that is one string is found by its number, of which 0 is the rest's; others by hash.
    slots_.assign(one_text ? strings + 1 : std::bit_ceil(2 * most + 2), 0);
  }

  void add_text(std::uint64_t number, const Row& row, std::size_t window, std::uint64_t count, double sum) {
    std::uint32_t& slot = slots_[number];
    if (slot == 0) slot = begin_line(number == 0 ? kRestKey : CallKey{row.code_of(number), 0, 0});
    add(slot - 1, window, count, sum);
  }

  void add_key(const CallKey& key, std::size_t window, std::uint64_t count, double sum) {
    std::size_t mask = slots_.size() - 1;
    std::uint64_t hash = 0;
    for (std::int64_t part : key) hash = hash_(hash ^ static_cast<std::uint64_t>(part));
    std::size_t at = hash & mask;
    while (slots_[at] != 0 && keys_[slots_[at] - 1] != key) at = (at + 1) & mask;
    if (slots_[at] == 0) slots_[at] = begin_line(key);
    add(slots_[at] - 1, window, count, sum);
  }

  /// Adds windows up, from the shortest to the longest, and puts the keys in order.
  void finish() {
    for (std::size_t line = 0; line < keys_.size(); ++line) {
      for (std::size_t cell = (line + 1) * windows_ - 1; cell > line * windows_; --cell) {
        counts_[cell - 1] += counts_[cell];
        if (sums_kept_) sums_[cell - 1] += sums_[cell];
      }
    }
    // Numbers of strings ascend with those; where most of a dictionary came, looking through it beats sorting.
    constexpr std::size_t kSparse = 16;
    if (!one_text_ || slots_.size() > kSparse * keys_.size()) return in_order(keys_, order_);
    order_.clear();
    for (std::uint32_t slot : slots_) {
      if (slot != 0) order_.push_back(slot - 1);
    }
  }

  const std::vector<CallKey>& keys() const { return keys_; }
  const std::vector<std::size_t>& order() const { return order_; }
  bool is_rest(std::size_t line) const { return keys_[line][0] == kNullWhole; }
  std::int64_t count(std::size_t line, std::size_t window) const { return counts_[line * windows_ + window]; }
  double sum(std::size_t line, std::size_t window) const {
    return sums_kept_ ? sums_[line * windows_ + window] : 0.0;
  }

 private:
  std::uint32_t begin_line(const CallKey& key) {
    keys_.push_back(key);
    counts_.resize(keys_.size() * windows_, 0);
    if (sums_kept_) sums_.resize(keys_.size() * windows_, 0.0);
    return static_cast<std::uint32_t>(keys_.size());
  }
  void add(std::size_t line, std::size_t window, std::uint64_t count, double sum) {
    std::size_t cell = line * windows_ + window;
    counts_[cell] += static_cast<std::int64_t>(count);
    if (sums_kept_) sums_[cell] += sum;
  }

  KeyedHash hash_;
  std::size_t windows_ = 0;
  bool sums_kept_ = false, one_text_ = false;
  std::vector<CallKey> keys_;
  /// By key and window.
  std::vector<std::int64_t> counts_;
  std::vector<double> sums_;
  std::vector<std::uint32_t> slots_;
  std::vector<std::size_t> order_;
};

class KeyedTiles : public Part {
 public:
  explicit KeyedTiles(const Program& program)
      : program_(program), shapes_(shapes_of(program.keyed_tracks)), held_(shapes_, sums_of(program)) {
    wanted_.assign(program.keyed_tracks.size(), false);
    of_track_.resize(program.keyed_tracks.size());
    for (const Table& table : program.tables) wanted_[table.track] = true;
    for (const EntropyOutput& output : program.entropies) wanted_[output.track] = true;
  }

  void set_time(std::int64_t at_us) override {
    std::vector<std::int64_t> starts = starts_s(program_.tables, at_us);
    std::ranges::copy(starts_s(program_.entropies, at_us), std::back_inserter(starts));
    starts_.set(std::move(starts));
  }

  void read(Reader in, const Row& row) override {
    tiles_.clear();
    for (auto& tiles : of_track_) tiles.clear();
    if (in.left() > 0) held_.read(in, row.strings, tiles_);
    for (std::size_t at = 0; at < tiles_.size(); ++at) {
      of_track_[static_cast<std::size_t>(tiles_[at].track)].push_back(static_cast<std::uint32_t>(at));
    }
    for (std::size_t track = 0; track < wanted_.size(); ++track) {
      if (wanted_[track]) read_track(static_cast<int>(track), row);
    }
  }

 private:
  static std::vector<bool> sums_of(const Program& program) {
    std::vector<bool> sums;
    for (const KeyedPart& part : program.keyed_tracks) sums.push_back(part.sums);
    return sums;
  }

  void read_track(int track, const Row& row) {
    const KeyedPart& part = program_.keyed_tracks[track];
    bool one_text = shapes_.one_text(track);
    std::size_t most = 0;
    for (std::uint32_t tile : of_track_[track]) most += tiles_[tile].keys + 1;
    totals_.begin(starts_.size(), part.sums, row.strings, one_text, most);
    for (std::uint32_t tile : of_track_[track]) add_tile(tiles_[tile], part, one_text, row);
    totals_.finish();
    for (std::size_t at = 0; at < program_.tables.size(); ++at) {
      if (program_.tables[at].track == track) put_table(program_.tables[at], part, starts_.place(at), row);
    }
    for (std::size_t at = 0; at < program_.entropies.size(); ++at) {
      const EntropyOutput& output = program_.entropies[at];
      if (output.track != track) continue;
      std::size_t window = starts_.place(program_.tables.size() + at);
      row.values[output.column] = static_cast<float>(entropy(window, output.empty));
    }
  }

  /// Counts the keys of a tile in the shortest window that it lies in.
  void add_tile(const KeyedTile& tile, const KeyedPart& part, bool one_text, const Row& row) {
    std::size_t holding = starts_.holding(tile.start_s);
    if (holding == 0) return;
    std::size_t window = holding - 1;
    if (one_text) {
      numbers_.resize(tile.keys);
      held_.keys.each_text(tile, [this](std::size_t at, std::uint64_t number) { numbers_[at] = number; });
      held_.each(tile, [&](std::size_t at, std::int64_t count, double sum) {
        totals_.add_text(numbers_[at], row, window, static_cast<std::uint64_t>(count), sum);
      });
      if (tile.rest > 0) totals_.add_text(0, row, window, static_cast<std::uint64_t>(tile.rest), tile.rest_sum);
      return;
    }
    held_.each(tile, [&](std::size_t at, std::int64_t count, double sum) {
      totals_.add_key(of_call(held_.keys.key(tile, at), part, row), window, static_cast<std::uint64_t>(count), sum);
    });
    if (tile.rest > 0) totals_.add_key(kRestKey, window, static_cast<std::uint64_t>(tile.rest), tile.rest_sum);
  }

  double entropy(std::size_t window, double empty) const {
    double total = 0, sum = 0;
    for (std::size_t line : totals_.order()) total += static_cast<double>(totals_.count(line, window));
    for (std::size_t line : totals_.order()) {
      auto count = static_cast<double>(totals_.count(line, window));
      if (count > 0) sum += -(count / total) * std::log(count / total);
    }
    return total > 0 ? std::fabs(sum) : empty;
  }

  void put_table(const Table& table, const KeyedPart& part, std::size_t window, const Row& row) {
    double total = 0;
    heaviest_.begin(table.most);
    for (std::size_t line : totals_.order()) {
      std::int64_t count = totals_.count(line, window);
      total += static_cast<double>(count);
      if (count == 0 || totals_.is_rest(line)) continue;
      double sum = totals_.sum(line, window);
      double mean = sum / static_cast<double>(count);
      heaviest_.add(line, table.measure == Measure::kCount ? count
                                                           : ordinal(table.measure == Measure::kSum ? sum : mean));
    }
    std::size_t column = heaviest_.put_keys(table.list, part, totals_.keys(), row);
    auto count_of = [&](std::size_t line) { return static_cast<double>(totals_.count(line, window)); };
    auto put_real = [&](auto number_of) { heaviest_.put_real(table.list, column, row, number_of); };
    switch (table.shown) {
      case Shown::kNothing: return;
      case Shown::kCount:
        return heaviest_.put(table.list, column, row, kNullWhole,
                             [&](std::size_t line) { return totals_.count(line, window); });
      case Shown::kShare: return put_real([&](std::size_t line) { return count_of(line) / total; });
      case Shown::kSum: return put_real([&](std::size_t line) { return totals_.sum(line, window); });
      case Shown::kMean: return put_real([&](std::size_t line) { return totals_.sum(line, window) / count_of(line); });
    }
  }

  const Program& program_;
  const KeyShapes shapes_;
  StoredKeyedTiles held_;
  std::vector<bool> wanted_;
  /// Of tables, and then of entropies.
  Starts starts_;
  std::vector<KeyedTile> tiles_;
  std::vector<std::uint64_t> numbers_;
  /// Which tiles are a track's, as they come.
  std::vector<std::vector<std::uint32_t>> of_track_;
  Totals totals_;
  Heaviest heaviest_;
};

}  // namespace

std::unique_ptr<Part> make_keyed_tiles(const Program& program) { return std::make_unique<KeyedTiles>(program); }

}  // namespace user_state::reading
