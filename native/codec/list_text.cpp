#include "codec/list_text.hpp"

#include <charconv>

namespace user_state {

namespace {

/// Reads a text front to back; each step takes what it is named for, or returns false.
class ListText {
 public:
  explicit ListText(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }

  bool one(char wanted) {
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool item(ListOf kind) {
    if (kind == ListOf::kTexts) return string();
    if (kind == ListOf::kBools) return one_of("01");
    return kind == ListOf::kReals ? real() : whole();
  }

 private:
  static bool is_hex(char byte) { return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'f'); }

  bool one_of(std::string_view wanted) {
    if (rest_.empty() || wanted.find(rest_.front()) == std::string_view::npos) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool digits() {
    std::size_t size = 0;
    while (size < rest_.size() && rest_[size] >= '0' && rest_[size] <= '9') ++size;
    rest_.remove_prefix(size);
    return size > 0;
  }

  bool string() {
    if (!one('"')) return false;
    while (!rest_.empty()) {
      char byte = rest_.front();
      rest_.remove_prefix(1);
      if (byte == '"') return true;
      if (static_cast<std::uint8_t>(byte) < ' ' || (byte == '\\' && !escaped())) return false;
    }
    return false;
  }

  bool escaped() {
    if (one_of("\"\\bfnrt")) return true;
    constexpr std::string_view kBegin = "u00";
    constexpr std::size_t kSize = 5;
    if (rest_.size() < kSize || !rest_.starts_with(kBegin) || rest_[3] > '1' || !is_hex(rest_[3]) || !is_hex(rest_[4])) {
      return false;
    }
    rest_.remove_prefix(kSize);
    return true;
  }

  bool whole() {
    std::int64_t number = 0;
    auto [end, wrong] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), number);
    if (wrong != std::errc()) return false;
    std::string_view digits(rest_.data(), static_cast<std::size_t>(end - rest_.data()));
    rest_.remove_prefix(digits.size());
    if (digits.front() == '-') digits.remove_prefix(1);
    return digits.size() == 1 || digits.front() != '0';
  }

  bool real() {
    one('-');
    if (!one('0') && !digits()) return false;
    bool has_point = one('.');
    if (has_point && !digits()) return false;
    bool has_exponent = one('e');
    if (!has_exponent) return has_point;
    one_of("+-");
    return digits();
  }

  std::string_view rest_;
};

}  // namespace

ListOf list_of(std::string_view kind) {
  if (kind == "list of strings") return ListOf::kTexts;
  if (kind == "list of floats") return ListOf::kReals;
  if (kind == "list of ints") return ListOf::kWholes;
  if (kind == "list of bools") return ListOf::kBools;
  return ListOf::kNothing;
}

bool is_list_text(std::string_view text, ListOf kind) {
  ListText in(text);
  if (!in.one('[') || !in.item(kind)) return false;
  while (in.one(',')) {
    if (!in.item(kind)) return false;
  }
  return in.one(']') && in.at_end();
}

}  // namespace user_state
