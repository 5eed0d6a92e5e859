// Cutting bytes into numbers and putting numbers together to bytes: what every section of a record is made of.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace user_state {

static_assert(std::endian::native == std::endian::little, "records are little-endian, and are copied as they are");

/// Thrown for bytes that no writer writes. Whoever knows what they are of makes a message of it (record/envelope.hpp).
struct Corrupt {
  /// What is wrong with them.
  const char* what = "bytes that no writer writes";
  /// The byte at which that was found; none if it is not known.
  const char* at = nullptr;
};

/// Times and counts that a record holds stay below this, so that two can be added.
constexpr std::int64_t kTooLarge = std::int64_t{1} << 62;
/// Times of events, and those at which records are read, are less than this from 1970, so that lengths of windows can be
/// added and taken off: whatever was applied can be read.
constexpr std::int64_t kFarthestUs = std::int64_t{1} << 61;

/// Refuses what does not hold of bytes that are read; `what` is what is wrong then. While a record is folded and packed,
/// it says that the record gets too large: its numbers, or how many there are (record/folder.hpp).
inline void need(bool held) {
  if (!held) [[unlikely]] throw Corrupt{};
}

inline void need(bool held, const char* what) {
  if (!held) [[unlikely]] throw Corrupt{what};
}

/// A number as it lies in memory, at whatever byte.
template <class T>
T load(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

/// Whether numbers of type T ascend, each once if `once`; a NaN never does.
template <class T>
bool ascend(const char* at, std::size_t size, bool once) {
  auto after = [&](std::size_t place) -> unsigned {
    T before = load<T>(at + sizeof(T) * (place - 1)), number = load<T>(at + sizeof(T) * place);
    return once ? number > before : number >= before;
  };
  unsigned ascending = 1;
  std::size_t place = 1;
  // Four at a time: one by one, each would wait for the one before.
  for (; place + 4 <= size; place += 4) ascending &= after(place) & after(place + 1) & after(place + 2) & after(place + 3);
  for (; place < size; ++place) ascending &= after(place);
  return ascending != 0;
}

/// Numbers of type T as they lie in a section, at whatever byte.
template <class T>
class Packed {
 public:
  Packed() = default;
  explicit Packed(std::string_view bytes) : bytes_(bytes) {}

  /// The bytes of numbers from one place to before another.
  std::string_view bytes(std::size_t begin, std::size_t end) const {
    return {bytes_.data() + begin * sizeof(T), (end - begin) * sizeof(T)};
  }

  bool empty() const { return bytes_.empty(); }
  std::size_t size() const { return bytes_.size() / sizeof(T); }

  T operator[](std::size_t at) const {
    T value;
    std::memcpy(&value, bytes_.data() + at * sizeof(T), sizeof(T));
    return value;
  }

 private:
  std::string_view bytes_;
};

/// Reads a section front to back.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  std::size_t left() const { return static_cast<std::size_t>(end_ - at_); }

  std::string_view bytes(std::size_t size) {
    need_left(size <= left());
    std::string_view taken(at_, size);
    at_ += size;
    return taken;
  }

  /// Goes on behind these bytes if they are the next ones; returns whether they are.
  bool skip(std::string_view expected) {
    if (expected.size() > left() || *at_ != expected.front() || std::memcmp(at_, expected.data(), expected.size()) != 0) {
      return false;
    }
    at_ += expected.size();
    return true;
  }

  template <class T>
  T take() {
    T value;
    std::memcpy(&value, bytes(sizeof(T)).data(), sizeof(T));
    return value;
  }

  /// The next `size` numbers of type T, to be looked at where they are.
  template <class T>
  Packed<T> packed(std::size_t size) {
    need_left(size <= left() / sizeof(T));
    return Packed<T>(bytes(size * sizeof(T)));
  }

  /// Appends the next `size` numbers of type T to `out`, as whatever type that holds.
  template <class T, class U>
  void column(std::size_t size, std::vector<U>& out) {
    need_left(size <= left() / sizeof(T));
    const char* from = at_;
    at_ += size * sizeof(T);
    std::size_t begin = out.size();
    out.resize(begin + size);
    for (std::size_t i = 0; i < size; ++i) {
      T value;
      std::memcpy(&value, from + i * sizeof(T), sizeof(T));
      out[begin + i] = static_cast<U>(value);
    }
  }

  /// Appends the next narrow column: whole numbers of `width` bytes, 0 for a column of zeros (codec/narrow.hpp). Zeros take
  /// no bytes: of them there are `most_zeros` at most, lest a length gone bad cost all memory.
  template <class U>
  void narrow(std::uint8_t width, std::size_t size, std::size_t most_zeros, std::vector<U>& out) {
    switch (width) {
      case 0:
        need(size <= most_zeros, "a column of more zeros than there can be");
        out.resize(out.size() + size);
        return;
      case 1: return column<std::uint8_t>(size, out);
      case 2: return column<std::uint16_t>(size, out);
      case 4: return column<std::uint32_t>(size, out);
      case 8: return column<std::uint64_t>(size, out);
      default: throw Corrupt{"a column of a width that there is not", at_};
    }
  }

  void end() const {
    if (at_ != end_) [[unlikely]] throw Corrupt{"longer than its columns", at_};
  }

 private:
  void need_left(bool left) const {
    if (!left) [[unlikely]] throw Corrupt{"cut off", at_};
  }
  const char* at_;
  const char* end_;
};

/// Bytes that grow, and keep their room when cleared. Unlike a `std::string` it does not fill with zeros what is written
/// next, and the small pieces that sections are made of are put in without a call.
class Buffer {
 public:
  void clear() { size_ = 0; }
  /// Takes back what was written after so many bytes.
  void cut(std::size_t size) { size_ = std::min(size_, size); }
  std::size_t size() const { return size_; }
  const char* data() const { return held_.get(); }
  std::string_view view() const { return {held_.get(), size_}; }

  /// Makes it longer by so many bytes, which are to be written to what it returns before it grows again.
  char* grow(std::size_t more) {
    if (more > room_ - size_) [[unlikely]] make_room(more);
    char* at = held_.get() + size_;
    size_ += more;
    return at;
  }

 private:
  void make_room(std::size_t more) {
    constexpr std::size_t kLeast = 256;
    std::size_t room = std::max({size_ + more, 2 * room_, kLeast});
    auto held = std::make_unique_for_overwrite<char[]>(room);
    if (size_ > 0) std::memcpy(held.get(), held_.get(), size_);
    held_ = std::move(held);
    room_ = room;
  }

  std::unique_ptr<char[]> held_;
  std::size_t size_ = 0, room_ = 0;
};

/// Appends numbers to a buffer.
class Writer {
 public:
  explicit Writer(Buffer& out) : out_(out) {}

  void bytes(std::string_view taken) {
    if (!taken.empty()) std::memcpy(room(taken.size()), taken.data(), taken.size());
  }

  template <class T>
  void put(T value) {
    std::memcpy(room(sizeof(T)), &value, sizeof(T));
  }

  /// Puts a whole column of numbers as type T, made from the rows by `number`.
  template <class T, class Rows, class Number>
  void column(const Rows& rows, Number number) {
    char* to = room(rows.size() * sizeof(T));
    for (const auto& row : rows) {
      T value = static_cast<T>(number(row));
      std::memcpy(to, &value, sizeof(T));
      to += sizeof(T);
    }
  }

  /// Puts a narrow column of `width` bytes a number (see `width_of`).
  template <class Rows, class Number>
  void narrow(std::uint8_t width, const Rows& rows, Number number) {
    switch (width) {
      case 0: return;
      case 1: return column<std::uint8_t>(rows, number);
      case 2: return column<std::uint16_t>(rows, number);
      case 4: return column<std::uint32_t>(rows, number);
      default: return column<std::uint64_t>(rows, number);
    }
  }

  /// Returns the bytes a number of a narrow column whose largest number this is: 0, 1, 2, 4 or 8.
  static std::uint8_t width_of(std::uint64_t largest) {
    if (largest == 0) return 0;
    if (largest < (1ull << 8)) return 1;
    if (largest < (1ull << 16)) return 2;
    return largest < (1ull << 32) ? 4 : 8;
  }

  /// Puts an Avro long: zigzag, then seven bits a byte, least significant first.
  void avro_long(std::int64_t value) {
    auto left = (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
    for (; left > 0x7F; left >>= 7) put(static_cast<std::uint8_t>((left & 0x7F) | 0x80));
    put(static_cast<std::uint8_t>(left));
  }

  std::size_t size() const { return out_.size(); }

  /// Makes room for so many bytes, to be written before anything else is put.
  char* room(std::size_t size) { return out_.grow(size); }

 private:
  Buffer& out_;
};

/// Signed numbers as unsigned ones that are small where those are near 0.
inline std::uint64_t folded(std::int64_t number) {
  return (static_cast<std::uint64_t>(number) << 1) ^ static_cast<std::uint64_t>(number >> 63);
}

inline std::int64_t unfolded(std::uint64_t number) {
  return static_cast<std::int64_t>(number >> 1) ^ -static_cast<std::int64_t>(number & 1);
}

inline constexpr std::int64_t kSecondUs = 1'000'000;

/// Division that rounds down, as Python's does.
inline std::int64_t floor_div(std::int64_t a, std::int64_t b) { return a / b - (a % b != 0 && (a ^ b) < 0); }

}  // namespace user_state
