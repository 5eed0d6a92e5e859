// The decayed numbers of one record, as its section has them: what folding and reading have in common.
#pragma once

#include <cstdint>
#include <vector>

#include "families/decays/columns.hpp"

namespace user_state {

/// Of one decay, as of a time; both are 0 where there is nothing.
struct DecayedNumbers {
  std::int64_t time_us = 0;
  /// By half-life.
  std::vector<double> sums;
};

class StoredDecays {
 public:
  /// `half_lives` is how many each decay has.
  explicit StoredDecays(const std::vector<std::size_t>& half_lives);

  void read(Reader in);
  void write(Writer& out) const;

  std::vector<DecayedNumbers> decays;

 private:
  /// Reused record after record.
  mutable DecayColumns<Fresh> fresh_;
};

}  // namespace user_state
