#include "codec/strings.hpp"

#include <algorithm>

#include "codec/dictionary.hpp"

namespace user_state {

bool is_utf8(std::string_view text) {
  auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(text[at]); };
  for (std::size_t at = 0; at < text.size();) {
    std::uint8_t lead = byte(at);
    if (lead < 0x80) {
      ++at;
      continue;
    }
    std::size_t more = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4 || text.size() - at <= more) return false;
    std::uint8_t next = byte(at + 1);
    std::uint8_t least = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    std::uint8_t most = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (next < least || next > most) return false;
    for (std::size_t i = 2; i <= more; ++i) {
      if ((byte(at + i) & 0xC0) != 0x80) return false;
    }
    at += more + 1;
  }
  return true;
}

void Strings::begin(const Events& events) {
  events_ = &events;
  codes_of_batch_.assign(events.texts(), kUnknown);
  met_.clear();
}

void Strings::read(std::string_view dictionary) {
  for (std::int64_t batch_code : met_) codes_of_batch_[batch_code] = kUnknown;
  met_.clear();
  codes_of_second_.clear();
  take(dictionary, texts_);
  stored_ = named_ = texts_.size();
  used_.assign(stored_, 0);
}

void Strings::read_second(std::string_view dictionary) {
  take(dictionary, second_);
  named_ = second_.size();
  codes_of_second_.clear();
  for (std::string_view text : second_) codes_of_second_.push_back(code_of(text));
}

void Strings::take(std::string_view dictionary, std::vector<std::string_view>& taken) {
  taken.clear();
  DictionaryColumns<Stored> columns = read_dictionary(dictionary);
  std::string_view texts = texts_of(columns);
  std::size_t begin = 0;
  for (std::size_t at = 0; at < columns.strings; ++at) {
    taken.push_back(texts.substr(begin, columns.lengths[at]));
    begin += taken.back().size();
  }
}

std::int64_t Strings::code_of(std::string_view text) {
  auto begin = texts_.begin(), end = begin + static_cast<std::ptrdiff_t>(stored_);
  auto found = std::lower_bound(begin, end, text);
  if (found != end && *found == text) return found - begin;
  // Strings of one batch, and those of one dictionary, differ from each other, so this one is new.
  need(text.size() <= 0xFFFF);
  texts_.push_back(text);
  used_.push_back(0);
  return static_cast<std::int64_t>(texts_.size()) - 1;
}

std::int64_t Strings::look_up(std::int64_t batch_code) {
  met_.push_back(batch_code);
  return code_of(events_->text(batch_code));
}

void Strings::write(Writer& out) {
  order_.clear();
  for (std::size_t code = 0; code < stored_; ++code) {
    if (used_[code]) order_.push_back(static_cast<std::int64_t>(code));
  }
  // The stored ones are in order already.
  auto by_text = [&](std::int64_t a, std::int64_t b) { return texts_[a] < texts_[b]; };
  auto stored = static_cast<std::ptrdiff_t>(order_.size());
  for (std::size_t code = stored_; code < texts_.size(); ++code) {
    if (used_[code]) order_.push_back(static_cast<std::int64_t>(code));
  }
  if (auto added = order_.begin() + stored; added != order_.end()) {
    std::sort(added, order_.end(), by_text);
    std::inplace_merge(std::lower_bound(order_.begin(), added, *added, by_text), added, order_.end(), by_text);
  }
  numbers_.resize(texts_.size());
  unmoved_ = 0;
  while (unmoved_ < std::min(stored_, order_.size()) && order_[unmoved_] == static_cast<std::int64_t>(unmoved_)) ++unmoved_;
  if (order_.empty()) return;
  std::uint64_t number = 0;
  for (std::int64_t code : order_) numbers_[code] = ++number;
  out.put(static_cast<std::uint32_t>(order_.size()));
  out.column<std::uint16_t>(order_, [&](std::int64_t code) { return texts_[code].size(); });
  for (std::int64_t code : order_) out.bytes(texts_[code]);
}

}  // namespace user_state
