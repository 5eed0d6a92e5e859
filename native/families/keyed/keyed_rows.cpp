#include "families/keyed/keyed_rows.hpp"

#include <stdexcept>
#include <utility>

namespace user_state {

namespace {

std::vector<std::vector<bool>> texts_of(const Plan& plan, const std::vector<std::vector<int>>& by) {
  std::vector<std::vector<bool>> texts;
  for (const std::vector<int>& fields : by) {
    auto& of_track = texts.emplace_back();
    for (int field : fields) {
      if (plan.fields[field] == Kind::kFloat) throw std::invalid_argument("expected keys without floats");
      of_track.push_back(plan.fields[field] == Kind::kString);
    }
  }
  return texts;
}

}  // namespace

KeyColumns::KeyColumns(const Plan& plan, std::vector<std::vector<int>> by)
    : KeyShapes(texts_of(plan, by)), by_(std::move(by)) {}

bool KeyColumns::before(int track, const Key& a, const Key& b, const Strings& strings) const {
  for (std::size_t column = 0; column < by_[track].size(); ++column) {
    if (a[column] == b[column]) continue;
    return holds(track, column, true) ? strings.before(code_of(a[column]), code_of(b[column])) : a[column] < b[column];
  }
  return false;
}

}  // namespace user_state
