// The longest time between one event and the next in each window, in seconds; both events lie in the window, so a
// single one has no gap. A track is gone through once, from its newest event back: what a window begins after is all
// that it covers.
#include <algorithm>

#include "families/gaps/stored.hpp"
#include "families/part.hpp"

namespace user_state::reading {

namespace {

class Gaps : public Part {
 public:
  explicit Gaps(const Program& program) : program_(program), held_(program.gap_tracks), asked_(held_.tracks.size()) {}

  void set_time(std::int64_t at_us) override {
    for (auto& of_track : asked_) of_track.clear();
    for (const GapOutput& output : program_.gaps) {
      asked_[output.track].push_back({start_s(output.window, at_us) * kSecondUs, &output});
    }
    for (auto& of_track : asked_) std::ranges::sort(of_track, std::greater<>(), &Asked::since_us);
  }

  void read(Reader in, const Row& row) override {
    held_.read(in);
    for (std::size_t track = 0; track < asked_.size(); ++track) finish(held_.tracks[track], asked_[track], row);
  }

 private:
  /// An output, and when its window begins.
  struct Asked {
    std::int64_t since_us;
    const GapOutput* output;
  };

  static void finish(const TrackGaps& track, const std::vector<Asked>& asked, const Row& row) {
    auto tile = track.tiles.rbegin();
    auto open = track.open_us.rbegin();
    Stretch found{0, 0, 0};
    bool any = false;
    auto take = [&](const Stretch& older) {
      any ? found.join(older) : void(found = older);
      any = true;
    };
    for (const Asked& one : asked) {
      for (;;) {
        std::int64_t tile_us = tile == track.tiles.rend() ? -1 : tile->start_s * kSecondUs;
        std::int64_t open_us = open == track.open_us.rend() ? -1 : *open;
        if (std::max(tile_us, open_us) < std::max<std::int64_t>(one.since_us, 0)) break;
        open_us >= tile_us ? take(Stretch::of(*open++)) : take((tile++)->held);
      }
      bool has_gap = any && found.longest_us != Stretch::kOneEvent;
      double value = has_gap ? static_cast<double>(found.longest_us) / static_cast<double>(kSecondUs) : one.output->empty;
      row.values[one.output->column] = static_cast<float>(value);
    }
  }

  const Program& program_;
  StoredGaps held_;
  /// By track, the window that begins last first.
  std::vector<std::vector<Asked>> asked_;
};

}  // namespace

std::unique_ptr<Part> make_gaps(const Program& program) { return std::make_unique<Gaps>(program); }

}  // namespace user_state::reading
