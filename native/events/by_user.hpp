// Which rows of a batch are whose.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "codec/bytes.hpp"

namespace user_state {

class ByUser {
 public:
  /// Takes (m,) user indices; any that is none of `users` is std::out_of_range.
  ByUser(std::span<const std::int64_t> user, std::size_t users) : begins_(users + 1), rows_(user.size()) {
    for (std::int64_t of : user) {
      if (static_cast<std::uint64_t>(of) >= users) throw std::out_of_range("expected events of the users that there are");
      ++begins_[of + 1];
    }
    for (std::size_t at = 0; at < users; ++at) begins_[at + 1] += begins_[at];
    std::vector<std::uint32_t> next(begins_.begin(), begins_.end() - 1);
    for (std::uint32_t row = 0; row < user.size(); ++row) rows_[next[user[row]]++] = row;
  }

  std::size_t users() const { return begins_.size() - 1; }
  /// The rows of one user, in order of arrival.
  std::span<const std::uint32_t> rows_of(std::size_t user) const {
    return {rows_.data() + begins_[user], rows_.data() + begins_[user + 1]};
  }

 private:
  std::vector<std::uint32_t> begins_;
  std::vector<std::uint32_t> rows_;
};

}  // namespace user_state
