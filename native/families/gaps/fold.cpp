// The longest time between one event and the next: a late event may come between any two that it is not too late for, and
// makes two gaps of theirs. So the times of events stay apart, one by one, until admission lets in none that is older; then
// what is left of them is the stretch of a tile (stretch.hpp), which tiles of wider windows take over as others do.
//
// Admission lets in nothing before the user's horizon or more than the allowed lateness before the user's clock: the times
// kept apart are never more than the ids remembered, and what is closed is older than all that still comes.
#include <algorithm>

#include "families/family.hpp"
#include "families/gaps/stored.hpp"

namespace user_state {

namespace {

class Gaps : public Family {
 public:
  explicit Gaps(const Plan& plan) : plan_(plan), axes_(plan.gap_axes), held_(plan.gaps.size()) {}

  void read(Reader section, const Strings&) override { held_.read(section); }

  void fold(const Arrivals& arrivals, Strings&) override {
    axes_.set_clock(arrivals.clock_us);
    std::int64_t closed_us = std::max(arrivals.clock_us - plan_.allowed_lateness_us, arrivals.horizon_us);
    for (std::size_t track = 0; track < held_.tracks.size(); ++track) {
      take_in(arrivals, plan_.gaps[track], held_.tracks[track].open_us);
      place(static_cast<int>(track), held_.tracks[track]);
      close(static_cast<int>(track), held_.tracks[track], closed_us);
    }
  }

  /// Exact for what either record still keeps apart; of tiles in which events of both alternate, stretch.hpp says what holds.
  void absorb(const Family& other, std::span<const int> becomes, std::int64_t clock_us, Strings&) override {
    const auto& from = dynamic_cast<const Gaps&>(other).held_.tracks;
    axes_.set_clock(clock_us);
    std::int64_t closed_us = clock_us - plan_.allowed_lateness_us;
    for (std::size_t piece = 0; piece < becomes.size(); ++piece) {
      int track = becomes[piece];
      if (track == kGone) continue;
      TrackGaps& into = held_.tracks[track];
      TrackGaps taken = from[piece];
      // First each by itself: what stands apart in one may lie between tiles of the two.
      for (TrackGaps* each : {&into, &taken}) {
        place(track, *each);
        close(track, *each, closed_us);
      }
      for (const GapTile& tile : taken.tiles) add(into.tiles, tile);
      merge(into.open_us, taken.open_us);
    }
  }

  void write(Writer& out, const Strings&) const override { held_.write(out); }

 private:
  void take_in(const Arrivals& arrivals, const GapTrack& track, std::vector<std::int64_t>& open_us) {
    arrived_us_.clear();
    for (std::uint32_t row : arrivals.rows) {
      if (takes(track, arrivals.events, row)) arrived_us_.push_back(arrivals.events.time_us(row));
    }
    std::ranges::sort(arrived_us_);
    merge(open_us, arrived_us_);
  }

  /// Merges ascending times in, and leaves out what is there too often to matter.
  static void merge(std::vector<std::int64_t>& times_us, const std::vector<std::int64_t>& more_us) {
    if (more_us.empty()) return;
    auto middle = static_cast<std::ptrdiff_t>(times_us.size());
    times_us.insert(times_us.end(), more_us.begin(), more_us.end());
    std::inplace_merge(times_us.begin(), times_us.begin() + middle, times_us.end());
    std::size_t kept = 0;
    for (std::int64_t time_us : times_us) {
      if (kept < StoredGaps::kMostAtOnce || times_us[kept - StoredGaps::kMostAtOnce] < time_us) times_us[kept++] = time_us;
    }
    times_us.resize(kept);
  }

  /// Puts tiles where the time axis has them as of the clock, and drops what no window begins before.
  void place(int track, TrackGaps& held) const {
    std::vector<GapTile>& tiles = held.tiles;
    std::size_t kept = 0;
    for (const GapTile& tile : tiles) {
      std::int64_t start_s = axes_.place(track, tile.start_s);
      if (start_s == TrackAxes::kDropped) continue;
      if (kept > 0 && tiles[kept - 1].start_s == start_s) {
        tiles[kept - 1].held.join(tile.held);
      } else {
        tiles[kept++] = {start_s, tile.held};
      }
    }
    tiles.resize(kept);
    std::erase_if(held.open_us, [&](std::int64_t time_us) {
      return axes_.place(track, floor_div(time_us, kSecondUs)) == TrackAxes::kDropped;
    });
  }

  /// Takes into tiles the times that no event comes before any more.
  void close(int track, TrackGaps& held, std::int64_t closed_us) const {
    std::vector<std::int64_t>& open_us = held.open_us;
    auto end = std::ranges::lower_bound(open_us, closed_us);
    for (auto at = open_us.begin(); at != end; ++at) {
      std::int64_t start_s = axes_.place(track, floor_div(*at, kSecondUs));
      add(held.tiles, {start_s, Stretch::of(*at)});
    }
    open_us.erase(open_us.begin(), end);
  }

  static void add(std::vector<GapTile>& tiles, const GapTile& tile) {
    auto at = std::ranges::lower_bound(tiles, tile.start_s, {}, &GapTile::start_s);
    if (at != tiles.end() && at->start_s == tile.start_s) {
      at->held.join(tile.held);
    } else {
      tiles.insert(at, tile);
    }
  }

  const Plan& plan_;
  TrackAxes axes_;
  StoredGaps held_;
  std::vector<std::int64_t> arrived_us_;
};

}  // namespace

std::unique_ptr<Family> make_gaps(const Plan& plan) { return std::make_unique<Gaps>(plan); }

}  // namespace user_state
