// What a section's bytes are, said once. A family lists its columns in one function template, which three archives
// obey: whoever reads a section, whoever writes one, and docs/record.md.
//
//     template <class As>
//     struct ExampleColumns {
//       std::uint8_t flags = 0;
//       typename As::template Column<std::uint16_t> sizes;
//       typename As::template Split<Part<std::uint32_t>, Part<std::uint16_t, kFar>> ages_s;
//
//       template <class Archive>
//       void list(Archive& of, std::size_t tracks) {
//         of.flags(flags, {{kFar, "an age is 136 years or more"}});
//         of.column(sizes, {tracks, "track"}, "rows");
//         of.split(ages_s, {total(sizes), "row"}, flags, "seconds before the newest");
//       }
//     };
//
// `ExampleColumns<Stored>` looks at the bytes of a section where they are and copies nothing; `ExampleColumns<Fresh>`
// holds numbers that are to be written. Columns stand one after the other without padding, all numbers little-endian.
// What numbers have to come to beyond that (that they ascend, that they are known) is for the family to judge.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <numeric>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "codec/bytes.hpp"
#include "codec/narrow.hpp"

namespace user_state {

/// The bytes of a number that type T has, above those of the parts before it. With a flag, the part is left out where it
/// is zero in all numbers of the column, and the flag says that it is there.
template <class T, std::uint8_t kFlag = 0>
struct Part {
  using Type = T;
  static constexpr std::uint8_t flag = kFlag;
};

/// How many numbers a column has, and one for each of what.
struct Count {
  std::size_t size;
  const char* each;
};

/// A flag and what it says.
struct Flag {
  std::uint8_t bit;
  const char* meaning;
};

/// Numbers whose parts lie in columns of their own, to be looked at where they are.
template <class... Parts>
class SplitColumn {
 public:
  SplitColumn() = default;
  SplitColumn(Reader& in, std::uint8_t flags, std::size_t size)
      : parts_{in.packed<typename Parts::Type>(Parts::flag == 0 || (flags & Parts::flag) ? size : 0)...}, size_(size) {}

  std::size_t size() const { return size_; }

  std::uint64_t operator[](std::size_t at) const { return number<true>(at); }

  /// Calls `see(numbers)`, where `numbers(at)` is the number at a place. Where the parts that may be left out all are, as
  /// they nearly always are, it does not look for them at each.
  template <class See>
  void seen(See see) const {
    bool some = false;
    each_part([&]<class P>(P, const auto& part) { some |= P::flag != 0 && !part.empty(); });
    if (some) {
      see([this](std::size_t at) { return number<true>(at); });
    } else {
      see([this](std::size_t at) { return number<false>(at); });
    }
  }

 private:
  template <class Each>
  void each_part(Each each) const {
    std::apply([&](const auto&... part) { (each(Parts{}, part), ...); }, parts_);
  }

  /// The number at a place, of all parts or of those that are never left out.
  template <bool kAll>
  std::uint64_t number(std::size_t at) const {
    std::uint64_t number = 0;
    int shift = 0;
    each_part([&]<class P, class T>(P, const Packed<T>& part) {
      if (P::flag == 0 || (kAll && !part.empty())) number |= static_cast<std::uint64_t>(part[at]) << shift;
      shift += 8 * static_cast<int>(sizeof(T));
    });
    return number;
  }

  std::tuple<Packed<typename Parts::Type>...> parts_;
  std::size_t size_ = 0;
};

/// Numbers to be written in parts; the flags that they need follow from the largest.
template <class... Parts>
class FreshSplit : public std::vector<std::uint64_t> {
 public:
  std::uint8_t flags() const {
    std::uint64_t bits = 0;
    for (std::uint64_t number : *this) bits |= number;
    std::uint8_t flags = 0;
    int shift = 0;
    auto need = [&]<class P>(P) {
      if (P::flag != 0 && bits >> shift != 0) flags |= P::flag;
      shift += 8 * static_cast<int>(sizeof(typename P::Type));
    };
    (need(Parts{}), ...);
    return flags;
  }
};

/// Appends a number for each of some rows to a column that is to be written.
template <class T, class Rows, class Number>
void append(std::vector<T>& column, const Rows& rows, Number number) {
  std::size_t begin = column.size();
  column.resize(begin + rows.size());
  T* to = column.data() + begin;
  for (const auto& row : rows) *to++ = static_cast<T>(number(row));
}

/// Columns as a section has them.
struct Stored {
  template <class T>
  using Column = Packed<T>;
  /// Of which most is copied when it is written again (pieced.hpp).
  template <class T>
  using Bulk = Packed<T>;
  template <class... Parts>
  using Split = SplitColumn<Parts...>;
  using Narrow = NarrowView;
  using BulkNarrow = NarrowView;
};

/// Columns that are to be written.
struct Fresh {
  template <class T>
  using Column = std::vector<T>;
  template <class... Parts>
  using Split = FreshSplit<Parts...>;
};

/// The sum of a column.
template <class Numbers>
std::size_t total(const Numbers& numbers) {
  std::size_t sum = 0;
  for (std::size_t at = 0; at < numbers.size(); ++at) sum += static_cast<std::size_t>(numbers[at]);
  return sum;
}

/// How many of the numbers of a column are this one.
inline std::size_t marked(const Packed<std::uint8_t>& numbers, std::uint8_t mark) {
  std::string_view bytes = numbers.bytes(0, numbers.size());
  std::size_t found = 0;
  for (std::size_t at = 0; (at = bytes.find(static_cast<char>(mark), at)) != std::string_view::npos; ++at) ++found;
  return found;
}

/// The bits that are set in a mask of bytes.
template <class Mask>
std::size_t bits_in(const Mask& mask) {
  std::size_t bits = 0;
  for (std::size_t at = 0; at < mask.size(); ++at) bits += static_cast<std::size_t>(std::popcount(mask[at]));
  return bits;
}

/// Takes columns from a section.
class ColumnReader {
 public:
  explicit ColumnReader(Reader& in) : in_(in) {}

  void flags(std::uint8_t& flags, std::initializer_list<Flag> known) {
    flags = in_.take<std::uint8_t>();
    std::uint8_t all = 0;
    for (const Flag& flag : known) all |= flag.bit;
    need((flags & ~all) == 0, "invalid flags");
  }
  template <class T>
  void number(T& number, const char*) {
    number = in_.take<T>();
  }
  /// Columns that a section may lack, all of them: `list` lists them.
  template <class List>
  void part(bool& present, const char*, List list) {
    auto mark = in_.take<std::uint8_t>();
    need(mark <= 1, "invalid mark of a part");
    present = mark == 1;
    if (present) list();
  }
  template <class T>
  void column(Packed<T>& column, Count count, const char*) {
    column = in_.packed<T>(count.size);
  }
  template <class... Parts>
  void split(SplitColumn<Parts...>& column, Count count, std::uint8_t flags, const char*) {
    column = SplitColumn<Parts...>(in_, flags, count.size);
  }
  /// How many bytes the numbers of narrow columns have.
  template <std::size_t kColumns>
  void widths(std::array<std::uint8_t, kColumns>& widths, const char*) {
    widths = in_.take<std::array<std::uint8_t, kColumns>>();
  }
  void narrow(NarrowView& column, std::uint8_t width, Count count, const char*) {
    column = NarrowView(in_, width, count.size);
  }

 private:
  Reader& in_;
};

/// Puts columns into a section.
class ColumnWriter {
 public:
  explicit ColumnWriter(Writer& out) : out_(out) {}

  void flags(std::uint8_t flags, std::initializer_list<Flag>) { out_.put(flags); }
  template <class T>
  void number(T number, const char*) {
    out_.put(number);
  }
  template <class List>
  void part(bool present, const char*, List list) {
    out_.put(static_cast<std::uint8_t>(present));
    if (present) list();
  }
  template <class T>
  void column(const std::vector<T>& column, Count, const char*) {
    out_.bytes({reinterpret_cast<const char*>(column.data()), column.size() * sizeof(T)});
  }
  /// Columns that know by themselves how they are put together, such as those of which most is copied.
  template <class Written>
    requires requires(const Written& written, Writer& out) { written.write(out); }
  void column(const Written& column, Count, const char*) {
    column.write(out_);
  }
  template <class... Parts>
  void split(const FreshSplit<Parts...>& column, Count, std::uint8_t flags, const char*) {
    int shift = 0;
    auto put = [&]<class P>(P) {
      if (P::flag == 0 || (flags & P::flag)) {
        out_.column<typename P::Type>(column, [shift](std::uint64_t number) { return number >> shift; });
      }
      shift += 8 * static_cast<int>(sizeof(typename P::Type));
    };
    (put(Parts{}), ...);
  }
  template <std::size_t kColumns>
  void widths(const std::array<std::uint8_t, kColumns>& widths, const char*) {
    out_.put(widths);
  }
  template <class Written>
  void narrow(const Written& column, std::uint8_t, Count, const char*) {
    column.write(out_);
  }

 private:
  Writer& out_;
};

/// Writes down what columns there are, for docs/record.md: a line for each.
class ColumnDescriber {
 public:
  void flags(std::uint8_t, std::initializer_list<Flag> known) {
    std::string meaning = "flags";
    for (const Flag& flag : known) {
      meaning += (&flag == known.begin() ? ": " : "; ") + std::to_string(flag.bit) + " if " + flag.meaning;
    }
    add("u1", "", meaning);
  }
  template <class T>
  void number(const T&, const char* meaning) {
    add(type<T>(), "", meaning);
  }
  template <class List>
  void part(bool, const char* meaning, List list) {
    add("u1", "", std::string("1 if ") + meaning + "; otherwise 0, and that is all");
    list();
  }
  template <class T>
  void column(const Packed<T>&, Count count, const char* meaning) {
    add(type<T>(), count.each, meaning);
  }
  template <class... Parts>
  void split(const SplitColumn<Parts...>&, Count count, std::uint8_t, const char* meaning) {
    std::string types, flagged;
    auto name = [&]<class P>(P) {
      types += (types.empty() ? "" : " + ") + type<typename P::Type>();
      if (P::flag != 0) types += " if " + std::to_string(P::flag);
    };
    (name(Parts{}), ...);
    add(types, count.each, meaning);
  }
  template <std::size_t kColumns>
  void widths(const std::array<std::uint8_t, kColumns>&, const char* meaning) {
    add("u1 x " + std::to_string(kColumns), "", meaning);
  }
  void narrow(const NarrowView&, std::uint8_t, Count count, const char* meaning) {
    add("u0 to u8", count.each, meaning);
  }

  const std::string& text() const { return text_; }

 private:
  template <class T>
  static std::string type() {
    return (std::is_floating_point_v<T> ? "f" : std::is_signed_v<T> ? "i" : "u") + std::to_string(sizeof(T));
  }

  void add(const std::string& types, std::string_view each, std::string_view meaning) {
    text_ += types;
    if (!each.empty()) text_.append(" for each ").append(each);
    text_.append(" | ").append(meaning).append("\n");
  }

  std::string text_;
};

/// Reads all columns of a section, which ends with them.
template <class Columns, class... Sizes>
void read_columns(Reader in, Columns& columns, const Sizes&... sizes) {
  ColumnReader reader(in);
  columns.list(reader, sizes...);
  in.end();
}

/// Writes all columns of a section.
template <class Columns, class... Sizes>
void write_columns(Writer& out, Columns& columns, const Sizes&... sizes) {
  ColumnWriter writer(out);
  columns.list(writer, sizes...);
}

/// Returns a line for every column of a section: `Columns` are stored ones, of a record that holds nothing.
template <class Columns, class... Sizes>
std::string describe_columns(const Sizes&... sizes) {
  ColumnDescriber describer;
  Columns columns;
  columns.list(describer, sizes...);
  return describer.text();
}

}  // namespace user_state
