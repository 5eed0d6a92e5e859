// Numbers read from decays. At a time `at` a number is S 2^-((at - T)/H); fold.cpp says what S, T and H are.
#include "families/decaying.hpp"
#include "families/decays/stored.hpp"
#include "families/part.hpp"

namespace user_state::reading {

namespace {

class Decays : public Part {
 public:
  explicit Decays(const Program& program) : program_(program), held_(sizes(program)) {}

  void set_time(std::int64_t at_us) override { at_us_ = at_us; }

  void read(Reader in, const Row& row) override {
    held_.read(in);
    for (const DecayedOutput& output : program_.decayed) {
      double value = output.empty;
      const DecayedNumbers& decay = held_.decays[output.decay];
      if (decay.time_us > 0) {
        std::int64_t half_life_us = program_.decay_half_lives_us[output.decay][output.half_life];
        value = decay.sums[output.half_life] * left_of_one(age_us(at_us_, decay.time_us), half_life_us);
      }
      row.values[output.column] = static_cast<float>(value);
    }
  }

 private:
  static std::vector<std::size_t> sizes(const Program& program) {
    std::vector<std::size_t> made;
    for (const auto& half_lives_us : program.decay_half_lives_us) made.push_back(half_lives_us.size());
    return made;
  }

  const Program& program_;
  std::int64_t at_us_ = 0;
  StoredDecays held_;
};

}  // namespace

std::unique_ptr<Part> make_decays(const Program& program) { return std::make_unique<Decays>(program); }

}  // namespace user_state::reading
