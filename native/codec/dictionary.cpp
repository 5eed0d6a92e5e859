#include "codec/dictionary.hpp"

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

/// The first eight bytes as a number that orders as they do; zeros stand behind the end. There are `room` bytes from
/// where the text begins on.
std::uint64_t head_of(std::string_view text, std::size_t room) {
  constexpr std::size_t kBytes = sizeof(std::uint64_t);
  std::uint64_t bytes = 0;
  if (room >= kBytes) {
    bytes = load<std::uint64_t>(text.data());
    if (text.size() < kBytes) bytes &= (std::uint64_t{1} << 8 * text.size()) - 1;
  } else {
    std::memcpy(&bytes, text.data(), text.size());
  }
  return __builtin_bswap64(bytes);
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
    std::string_view text(texts.data() + begin, columns.lengths[at]);
    std::uint64_t head = head_of(text, texts.size() - begin);
    begin += text.size();
    // A string that stood there twice would make one key of two. Most are told apart by how they begin. Bytes of UTF-8
    // ascend as its characters do.
    need(at == 0 || head > before_head || (head == before_head && before < text), "strings that are not in order");
    need(ascii || is_utf8(text), "a string that is not UTF-8");
    before = text;
    before_head = head;
  }
  return columns;
}

}  // namespace user_state
