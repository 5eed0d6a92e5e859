// Decayed numbers: user_state/core/decays.py says what they are, codec/decays.py has the bytes.
#include "codec/optional_parts.hpp"
#include "families/part.hpp"

namespace user_state::reading {

namespace {

class Decays : public Part {
 public:
  explicit Decays(const Program& program)
      : program_(program),
        times_us_(program.decay_half_lives_us.size()),
        sums_(program.decay_half_lives_us.size()) {}

  void set_time(std::int64_t at_us) override { at_us_ = at_us; }

  void read(Reader in, const Row& row) override {
    for (std::size_t decay = 0; decay < sums_.size(); ++decay) {
      times_us_[decay] = 0;
      if (!take_mark(in)) continue;
      times_us_[decay] = take_time(in);
      need(times_us_[decay] < kTooLarge);
      sums_[decay] = in.packed<double>(program_.decay_half_lives_us[decay].size());
    }
    in.end();
    for (const DecayedOutput& output : program_.decayed) {
      double value = output.empty;
      if (std::int64_t time_us = times_us_[output.decay]; time_us > 0) {
        std::int64_t half_life_us = program_.decay_half_lives_us[output.decay][output.half_life];
        value = sums_[output.decay][output.half_life] * left_of_one(age_us(at_us_, time_us), half_life_us);
      }
      row.values[output.column] = static_cast<float>(value);
    }
  }

 private:
  const Program& program_;
  std::int64_t at_us_ = 0;
  /// When the sums are as of; 0 for decays that the record has not begun.
  std::vector<std::int64_t> times_us_;
  std::vector<Packed<double>> sums_;
};

}  // namespace

std::unique_ptr<Part> make_decays(const Program& program) { return std::make_unique<Decays>(program); }

}  // namespace user_state::reading
