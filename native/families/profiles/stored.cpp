#include "families/profiles/stored.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace user_state {

namespace {

template <class Mask>
bool is_set(const Mask& mask, std::size_t bin) {
  return mask[bin / 8] >> bin % 8 & 1;
}

}  // namespace

StoredProfiles::StoredProfiles(std::vector<ProfileShape> shapes)
    : profiles(shapes.size()), shapes_(std::move(shapes)) {}

void StoredProfiles::read(Reader in) {
  ColumnReader reader(in);
  for (std::size_t at = 0; at < profiles.size(); ++at) {
    const ProfileShape& shape = shapes_[at];
    ProfileColumns<Stored> columns;
    columns.list(reader, shape.half_lives, shape.bins);
    profiles[at].time_us = columns.time_us;
    profiles[at].sums.assign(shape.half_lives * shape.bins, 0.0);
    if (columns.begun) take(columns, shape, profiles[at].sums);
  }
  in.end();
}

void StoredProfiles::take(const ProfileColumns<Stored>& columns, const ProfileShape& shape, std::vector<double>& sums) {
  need(columns.time_us > 0 && columns.time_us < kTooLarge, "invalid time of the newest event");
  std::size_t at = 0, in_mask = columns.sums.size() / std::max<std::size_t>(shape.half_lives, 1);
  for (std::size_t byte = 0; byte < columns.mask.size(); ++byte) {
    for (unsigned left = columns.mask[byte]; left != 0; left &= left - 1) {
      std::size_t bin = 8 * byte + static_cast<std::size_t>(std::countr_zero(left));
      need(bin < shape.bins, "a bin that there is not");
      bool holds = false;
      for (std::size_t half_life = 0; half_life < shape.half_lives; ++half_life) {
        double sum = columns.sums[half_life * in_mask + at];
        need(sum >= 0 && sum < kMost, "a sum is negative or too large");
        holds |= sum > 0;
        sums[half_life * shape.bins + bin] = sum;
      }
      need(holds, "a bin in the mask holds nothing");
      ++at;
    }
  }
}

void StoredProfiles::write(Writer& out) const {
  ColumnWriter writer(out);
  for (std::size_t at = 0; at < profiles.size(); ++at) {
    const std::vector<double>& sums = profiles[at].sums;
    auto [half_lives, bins] = shapes_[at];
    fresh_.begun = profiles[at].time_us > 0;
    fresh_.time_us = profiles[at].time_us;
    fresh_.mask.assign((bins + 7) / 8, 0);
    for (std::size_t place = 0; place < sums.size(); ++place) {
      std::size_t bin = place % bins;
      if (sums[place] > 0) fresh_.mask[bin / 8] |= static_cast<std::uint8_t>(1 << bin % 8);
    }
    fresh_.sums.clear();
    for (std::size_t place = 0; place < sums.size(); ++place) {
      if (is_set(fresh_.mask, place % bins)) fresh_.sums.push_back(sums[place]);
    }
    fresh_.list(writer, half_lives, bins);
  }
}

std::string describe_profiles() { return describe_columns<ProfileColumns<Stored>>(std::size_t{1}, std::size_t{1}); }

}  // namespace user_state
