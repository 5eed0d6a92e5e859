// Shares of hours and weekdays: user_state/core/profiles.py says what they are, codec/profiles.py has the bytes.
#include "codec/optional_parts.hpp"
#include "families/part.hpp"

namespace user_state::reading {

namespace {

constexpr double kMostSum = 0x1p62;

class Profiles : public Part {
 public:
  explicit Profiles(const Program& program) : program_(program) {}

  void set_time(std::int64_t) override {}  // shares decay alike

  void read(Reader in, const Row& row) override {
    for (std::size_t profile = 0; profile < program_.profile_parts.size(); ++profile) {
      const ProfilePart& part = program_.profile_parts[profile];
      sums_.assign(static_cast<std::size_t>(part.bins * part.half_lives), 0.0);
      if (take_mark(in)) take(in, part);
      for (const ProfileOutput& output : program_.profiles) {
        if (output.profile == static_cast<int>(profile)) put(output, part.bins, row);
      }
    }
    in.end();
  }

 private:
  void take(Reader& in, const ProfilePart& part) {
    need(take_time(in) < kTooLarge);
    std::string_view mask = in.bytes(static_cast<std::size_t>(part.bins + 7) / 8);
    auto holds = [&](int bin) { return static_cast<std::uint8_t>(mask[bin / 8]) >> bin % 8 & 1; };
    for (int bin = part.bins; bin < static_cast<int>(8 * mask.size()); ++bin) need(!holds(bin));
    for (int half_life = 0; half_life < part.half_lives; ++half_life) {
      for (int bin = 0; bin < part.bins; ++bin) {
        if (!holds(bin)) continue;
        auto sum = in.take<double>();
        need(sum >= 0 && sum < kMostSum);
        sums_[half_life * part.bins + bin] = sum;
      }
    }
    for (int bin = 0; bin < part.bins; ++bin) {
      bool some = false;
      for (int half_life = 0; half_life < part.half_lives; ++half_life) some |= sums_[half_life * part.bins + bin] > 0;
      need(!holds(bin) || some);
    }
  }

  void put(const ProfileOutput& output, int bins, const Row& row) const {
    const double* sums = sums_.data() + output.half_life * bins;
    double total = 0;
    for (int bin = 0; bin < bins; ++bin) total += sums[bin];
    float* to = row.out.arrays[output.array] + row.at * static_cast<std::size_t>(bins);
    for (int bin = 0; bin < bins; ++bin) to[bin] = total > 0 ? static_cast<float>(sums[bin] / total) : 0.0f;
  }

  const Program& program_;
  /// By half-life and bin.
  std::vector<double> sums_;
};

}  // namespace

std::unique_ptr<Part> make_profiles(const Program& program) { return std::make_unique<Profiles>(program); }

}  // namespace user_state::reading
