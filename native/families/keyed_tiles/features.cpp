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
  /// There are `most` keys at most, each of so many parts; the record has so many strings.
  void begin(std::size_t windows, bool sums, std::size_t strings, bool one_text, std::size_t parts, std::size_t most) {
    windows_ = windows, parts_ = parts, sums_kept_ = sums, one_text_ = one_text;
    lines_ = 0;
    keys_.resize(std::max(keys_.size(), most));
    counts_.assign(most * windows, 0);
    if (sums) sums_.assign(most * windows, 0.0);
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
    for (std::size_t part = 0; part < parts_; ++part) hash = hash_(hash ^ static_cast<std::uint64_t>(key[part]));
    std::size_t at = hash & mask;
    while (slots_[at] != 0 && keys_[slots_[at] - 1] != key) at = (at + 1) & mask;
    if (slots_[at] == 0) slots_[at] = begin_line(key);
    add(slots_[at] - 1, window, count, sum);
  }

  /// Adds windows up, from the shortest to the longest, and puts the keys in order.
  void finish() {
    add_up(counts_.data());
    if (sums_kept_) add_up(sums_.data());
    // Numbers of strings ascend with those; where most of a dictionary came, looking through it beats sorting.
    constexpr std::size_t kSparse = 16;
    if (!one_text_ || slots_.size() > kSparse * lines_) return in_order(keys(), order_);
    order_.resize(lines_);
    std::size_t* to = order_.data();
    for (std::uint32_t slot : slots_) {
      if (slot != 0) *to++ = slot - 1;
    }
  }

  std::span<const CallKey> keys() const { return {keys_.data(), lines_}; }
  const std::vector<std::size_t>& order() const { return order_; }
  bool is_rest(std::size_t line) const { return keys_[line][0] == kNullWhole; }
  std::int64_t count(std::size_t line, std::size_t window) const { return counts_[line * windows_ + window]; }
  double sum(std::size_t line, std::size_t window) const {
    return sums_kept_ ? sums_[line * windows_ + window] : 0.0;
  }

 private:
  std::uint32_t begin_line(const CallKey& key) {
    keys_[lines_] = key;
    return static_cast<std::uint32_t>(++lines_);
  }
  void add(std::size_t line, std::size_t window, std::uint64_t count, double sum) {
    std::size_t cell = line * windows_ + window;
    counts_[cell] += static_cast<std::int64_t>(count);
    if (sums_kept_) sums_[cell] += sum;
  }
  /// The last window is the shortest.
  template <class T>
  void add_up(T* cells) const {
    for (T *line = cells, *end = cells + lines_ * windows_; line != end; line += windows_) {
      for (std::size_t window = windows_; window-- > 1;) line[window - 1] += line[window];
    }
  }

  KeyedHash hash_;
  std::size_t windows_ = 0, parts_ = 0, lines_ = 0;
  bool sums_kept_ = false, one_text_ = false;
  /// The first `lines_` are those that there are.
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
    of_track_.resize(program.keyed_tracks.size());
    tables_of_.resize(of_track_.size()), entropies_of_.resize(of_track_.size());
    for (std::size_t at = 0; at < program.tables.size(); ++at) tables_of_[program.tables[at].track].push_back(at);
    for (std::size_t at = 0; at < program.entropies.size(); ++at) entropies_of_[program.entropies[at].track].push_back(at);
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
    for (std::size_t track = 0; track < of_track_.size(); ++track) {
      if (!tables_of_[track].empty() || !entropies_of_[track].empty()) read_track(static_cast<int>(track), row);
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
    totals_.begin(starts_.size(), part.sums, row.strings, one_text, part.texts.size(), most);
    for (std::uint32_t tile : of_track_[track]) add_tile(tiles_[tile], one_text, row);
    totals_.finish();
    for (std::size_t at : tables_of_[track]) put_table(program_.tables[at], part, starts_.place(at), row);
    for (std::size_t at : entropies_of_[track]) {
      const EntropyOutput& output = program_.entropies[at];
      std::size_t window = starts_.place(program_.tables.size() + at);
      row.values[output.column] = static_cast<float>(entropy(window, output.empty));
    }
  }

  /// Counts the keys of a tile in the shortest window that it lies in.
  void add_tile(const KeyedTile& tile, bool one_text, const Row& row) {
    std::size_t holding = starts_.holding(tile.start_s);
    if (holding == 0) return;
    std::size_t window = holding - 1;
    auto rest = static_cast<std::uint64_t>(tile.rest);
    if (one_text) {
      held_.keys.each_text(tile, [&, next = held_.counts_of(tile)](std::size_t, std::uint64_t number) mutable {
        auto [count, sum] = next();
        totals_.add_text(number, row, window, count, sum);
      });
      if (rest > 0) totals_.add_text(0, row, window, rest, tile.rest_sum);
      return;
    }
    held_.keys.each_key(tile, [&, next = held_.counts_of(tile)](std::size_t, const Key& key) mutable {
      auto [count, sum] = next();
      totals_.add_key(of_call(key, shapes_, tile.track, row), window, count, sum);
    });
    if (rest > 0) totals_.add_key(kRestKey, window, rest, tile.rest_sum);
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

  /// Lists the heaviest keys of a window by `weight(line, count)`, and returns the count of all.
  template <class Weight>
  double list(int most, std::size_t window, Weight weight) {
    double total = 0;
    heaviest_.begin(most);
    for (std::size_t line : totals_.order()) {
      std::int64_t count = totals_.count(line, window);
      total += static_cast<double>(count);
      if (count > 0 && !totals_.is_rest(line)) heaviest_.add(line, weight(line, count));
    }
    return total;
  }

  double list(const Table& table, std::size_t window) {
    auto sum = [&](std::size_t line) { return totals_.sum(line, window); };
    switch (table.measure) {
      case Measure::kCount: return list(table.most, window, [](std::size_t, std::int64_t count) { return count; });
      case Measure::kSum:
        return list(table.most, window, [&](std::size_t line, std::int64_t) { return ordinal(sum(line)); });
      case Measure::kMean:
        return list(table.most, window, [&](std::size_t line, std::int64_t count) {
          return ordinal(sum(line) / static_cast<double>(count));
        });
    }
    throw Corrupt{};
  }

  void put_table(const Table& table, const KeyedPart& part, std::size_t window, const Row& row) {
    double total = list(table, window);
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
  /// By track, which tables and entropies are made of it.
  std::vector<std::vector<std::size_t>> tables_of_, entropies_of_;
  /// Of tables, and then of entropies.
  Starts starts_;
  std::vector<KeyedTile> tiles_;
  /// Which tiles are a track's, as they come.
  std::vector<std::vector<std::uint32_t>> of_track_;
  Totals totals_;
  Heaviest heaviest_;
};

}  // namespace

std::unique_ptr<Part> make_keyed_tiles(const Program& program) { return std::make_unique<KeyedTiles>(program); }

}  // namespace user_state::reading
