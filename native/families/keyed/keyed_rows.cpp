#include "families/keyed/keyed_rows.hpp"

#include <utility>

namespace user_state {

KeyColumns::KeyColumns(const Plan& plan, std::vector<std::vector<int>> by) : by_(std::move(by)) {
  for (const std::vector<int>& fields : by_) {
    need(fields.size() <= kMostKeyColumns);
    height_ = std::max(height_, fields.size());
    auto& is_text = is_text_.emplace_back();
    Shape& shape = shapes_.emplace_back(Shape{static_cast<std::uint8_t>(fields.size()), 0});
    for (std::size_t column = 0; column < fields.size(); ++column) {
      is_text[column] = plan.fields[fields[column]] == Kind::kString;
      need(plan.fields[fields[column]] != Kind::kFloat);
      shape.texts |= static_cast<std::uint8_t>(is_text[column] << column);
    }
  }
}

bool KeyColumns::lift(std::size_t track, const Events& events, std::uint32_t row, Strings& strings, Key& key) const {
  const std::vector<int>& fields = by_[track];
  for (int field : fields) {
    if (!events.has(field, row)) return false;
  }
  key = {};
  for (std::size_t column = 0; column < fields.size(); ++column) {
    std::int64_t value = events.integer(fields[column], row);
    key[column] = is_text_[track][column] ? static_cast<std::uint64_t>(strings.code_of_batch(value)) : folded(value);
  }
  return true;
}

bool KeyColumns::before(int track, const Key& a, const Key& b, const Strings& strings) const {
  for (std::size_t column = 0; column < by_[track].size(); ++column) {
    if (a[column] == b[column]) continue;
    return is_text_[track][column] ? strings.before(code_of(a[column]), code_of(b[column])) : a[column] < b[column];
  }
  return false;
}

}  // namespace user_state
