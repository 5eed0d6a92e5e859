#include "families/decays/stored.hpp"

namespace user_state {

StoredDecays::StoredDecays(const std::vector<std::size_t>& half_lives) {
  for (std::size_t size : half_lives) decays.push_back({0, std::vector<double>(size)});
}

void StoredDecays::read(Reader in) {
  ColumnReader reader(in);
  for (DecayedNumbers& decay : decays) {
    DecayColumns<Stored> columns;
    columns.list(reader, decay.sums.size());
    need(!columns.begun || (columns.time_us > 0 && columns.time_us < kTooLarge), "invalid time of the newest event");
    decay.time_us = columns.time_us;
    for (std::size_t at = 0; at < decay.sums.size(); ++at) decay.sums[at] = columns.begun ? columns.sums[at] : 0.0;
  }
  in.end();
}

void StoredDecays::write(Writer& out) const {
  ColumnWriter writer(out);
  for (const DecayedNumbers& decay : decays) {
    fresh_.begun = decay.time_us > 0;
    fresh_.time_us = decay.time_us;
    fresh_.sums.assign(decay.sums.begin(), decay.sums.end());
    fresh_.list(writer, decay.sums.size());
  }
}

std::string describe_decays() { return describe_columns<DecayColumns<Stored>>(std::size_t{1}); }

}  // namespace user_state
