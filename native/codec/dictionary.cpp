#include "codec/dictionary.hpp"

#include <algorithm>
#include <array>

#include "codec/strings.hpp"

namespace user_state {

namespace {

bool is_ascii(std::string_view text) {
  std::uint64_t bits = 0;
  std::size_t at = 0;
  for (; at + sizeof(bits) <= text.size(); at += sizeof(bits)) bits |= load<std::uint64_t>(text.data() + at);
  for (; at < text.size(); ++at) bits |= static_cast<std::uint8_t>(text[at]);
  return (bits & 0x8080808080808080) == 0;
}

/// The first eight bytes as a number that orders as they do; zeros stand behind the end.
std::uint64_t head_of(std::string_view text) {
  std::array<char, sizeof(std::uint64_t)> bytes{};
  std::memcpy(bytes.data(), text.data(), std::min(text.size(), bytes.size()));
  std::uint64_t head = 0;
  for (char byte : bytes) head = head << 8 | static_cast<std::uint8_t>(byte);
  return head;
}

}  // namespace

DictionaryColumns<Stored> read_dictionary(std::string_view bytes) {
  DictionaryColumns<Stored> columns;
  if (bytes.empty()) return columns;
  read_columns(Reader(bytes), columns);
  need(columns.strings > 0, "no strings");
  std::string_view texts = texts_of(columns), before;
  bool ascii = is_ascii(texts);
  std::uint64_t before_head = 0;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < columns.strings; ++at) {
    std::string_view text = texts.substr(begin, columns.lengths[at]);
    begin += text.size();
    // A string that stood there twice would make one key of two. Most are told apart by how they begin. Bytes of UTF-8
    // ascend as its characters do.
    std::uint64_t head = head_of(text);
    need(at == 0 || head > before_head || (head == before_head && before < text), "strings that are not in order");
    need(ascii || is_utf8(text), "a string that is not UTF-8");
    before = text;
    before_head = head;
  }
  return columns;
}

}  // namespace user_state
