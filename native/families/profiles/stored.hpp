// The profiles of one record, as its section has them: what folding and reading have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "families/profiles/columns.hpp"

namespace user_state {

/// Of one profile, as of a time; both are 0 where there is nothing.
struct DecayedBins {
  std::int64_t time_us = 0;
  /// All bins of one half-life, then those of the next.
  std::vector<double> sums;
};

struct ProfileShape {
  std::size_t half_lives, bins;
};

class StoredProfiles {
 public:
  /// No sum of shares of at most 1 an event can be as large.
  static constexpr double kMost = 0x1p62;

  explicit StoredProfiles(std::vector<ProfileShape> shapes);

  void read(Reader in);
  void write(Writer& out) const;

  std::vector<DecayedBins> profiles;

 private:
  static void take(const ProfileColumns<Stored>& columns, const ProfileShape& shape, std::vector<double>& sums);

  std::vector<ProfileShape> shapes_;
  /// Reused record after record.
  mutable ProfileColumns<Fresh> fresh_;
};

}  // namespace user_state
