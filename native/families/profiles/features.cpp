// Shares of hours and weekdays: S_b / sum of all S_b, or zeros where there is nothing. Time multiplies all sums of a
// half-life by one number, so it does not matter when they are read.
#include "families/part.hpp"
#include "families/profiles/stored.hpp"

namespace user_state::reading {

namespace {

class Profiles : public Part {
 public:
  explicit Profiles(const Program& program) : program_(program), held_(shapes(program)) {}

  void set_time(std::int64_t) override {}

  void read(Reader in, const Row& row) override {
    held_.read(in);
    for (const ProfileOutput& output : program_.profiles) put(output, row);
  }

 private:
  static std::vector<ProfileShape> shapes(const Program& program) {
    std::vector<ProfileShape> made;
    for (const ProfilePart& part : program.profile_parts) {
      made.push_back({static_cast<std::size_t>(part.half_lives), static_cast<std::size_t>(part.bins)});
    }
    return made;
  }

  void put(const ProfileOutput& output, const Row& row) const {
    auto bins = static_cast<std::size_t>(program_.profile_parts[output.profile].bins);
    const double* sums = held_.profiles[output.profile].sums.data() + output.half_life * bins;
    double total = 0;
    for (std::size_t bin = 0; bin < bins; ++bin) total += sums[bin];
    float* to = row.out.arrays[output.array] + row.at * bins;
    for (std::size_t bin = 0; bin < bins; ++bin) to[bin] = total > 0 ? static_cast<float>(sums[bin] / total) : 0.0f;
  }

  const Program& program_;
  StoredProfiles held_;
};

}  // namespace

std::unique_ptr<Part> make_profiles(const Program& program) { return std::make_unique<Profiles>(program); }

}  // namespace user_state::reading
