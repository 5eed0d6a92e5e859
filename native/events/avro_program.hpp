// Avro values of any schema, read front to back: what is asked for goes to its places, and the rest is read over.
//
// A schema is compiled, once and in Python (user_state/events/avro_program.py), to nodes, one for each way in which a
// type is read: as written, promoted, or as one that the reader's schema does not take. What a record written with
// another schema is read as is decided there too. A node is told the places that want its value; nodes that nobody wants
// anything of are shared, so that a type may contain itself.
//
// Everything is read, wanted or not, and as strictly as a writer writes it, so that damaged bytes are found out:
//
//   array, map   blocks of a count and as many items; a negative count is followed by the bytes of its items, which have
//                to be just those; a count of 0 ends it. Of a key that a map has twice the last value counts.
//
// A short body must cost little, whatever its schema. So values may lie kMostLevels deep in records, arrays and maps,
// and a body of n bytes may have kMostValuesAByte * n + kMostFreeValues values: those of no bytes (null, an empty record)
// are what that is about, all others end with the bytes.
//
// Source: Apache Avro 1.12 specification, "Complex types", "Schema Resolution".
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "events/avro_value.hpp"
#include "events/text_index.hpp"

namespace user_state {

/// How values of one type are read (user_state/events/avro_program.py).
struct AvroNode {
  enum class Kind : std::uint8_t {
    kNull,
    kBoolean,
    kInt,
    kLong,
    kFloat,
    kDouble,
    kString,
    kBytes,
    kRealOfInt,
    kRealOfLong,
    kBytesOfString,
    kEnum,
    kFixed,
    kUuid,
    kDecimal,
    kFixedDecimal,
    kUnion,
    kRecord,
    kArray,
    kMap,
    kConstant,
    kRefused
  };
  struct Symbol {
    bool known;
    std::string text;
  };
  struct Key {
    std::string text;
    std::uint32_t child;
  };

  // What is asked of every value comes first, so that it lies together.
  Kind kind = Kind::kNull;
  /// Whether it lies in an array: its values are appended to lists.
  bool appends = false;
  /// Where the value goes.
  std::vector<std::uint32_t> places;
  /// The nodes of a union's branches, a record's fields, an array's items, a map's values, a constant's value.
  std::vector<std::uint32_t> children;
  /// Bytes of a fixed, of whatever kind.
  std::size_t size = 0;
  /// Digits behind the point of a decimal.
  std::int64_t scale = 0;
  /// Of an enum.
  std::vector<Symbol> symbols;
  /// Of a record, the constants that stand for fields that only the reader has, behind those that were written.
  std::vector<std::uint32_t> constants;
  /// Of a record's fields as the writer calls them; for people.
  std::vector<std::string> written;
  /// Of a record's fields, then its constants, as the reader calls them; empty for a field that is read over. Of a
  /// union's branches in JSON, as Avro's own JSON calls them; empty for one that it may not be used for.
  std::vector<std::string> names;
  /// Keys of a map whose values are wanted. Of a record in JSON, its fields' other names, and the fields. Of
  /// a union in JSON, the names of branches that are not in `names`, and the branches.
  std::vector<Key> keys;
  /// Where this value and those in it go, of maps and of nodes that are a map's values.
  std::vector<std::uint32_t> beneath;
  /// The bytes of a constant. Of an enum in JSON, the symbol that stands for unknown ones; empty for none.
  std::string bytes;
  /// Of kRefused: what is written, and what the reader's schema takes.
  std::string why;
  /// Only in programs for JSON. Nanoseconds in the unit of a time, 0 for what is none, and whether it is a local one.
  std::int64_t unit_ns = 0;
  bool is_local = false;
  /// Of a record, for each field the constant that stands for it where it is left out; kNobody for none.
  std::vector<std::uint32_t> absent;
  /// Of a record its fields' names, own ones first; of an enum its symbols.
  TextIndex index;

  static constexpr std::uint32_t kNobody = 0xFFFFFFFF;
};

/// How values of one schema are read as those of another, or the same.
struct AvroProgram {
  std::vector<AvroNode> nodes;
  std::uint32_t root = 0;

  /// Lets texts be any bytes, for whoever asks for the ends of values only.
  void let_be_any_bytes();
};

/// The values that are asked for, by place; those of an array are in `lists`. Whatever a body is written in, its values
/// come here, and from here to the columns of a batch.
struct AvroValues {
  std::vector<AvroValue> at;
  std::vector<std::vector<AvroValue>> lists;

  explicit AvroValues(std::size_t places) : at(places), lists(places) {}
  void clear();

  /// Inlined: a call costs what it does, and every value comes here.
  [[gnu::always_inline]] void put(const AvroNode& node, const AvroValue& value) {
    for (std::uint32_t place : node.places) {
      if (!node.appends) [[likely]] {
        at[place] = value;
      } else if (value.is != AvroValue::Is::kNull) {
        lists[place].push_back(value);
      }
    }
  }
  void begin_array(const AvroNode& array) {
    for (std::uint32_t place : array.beneath) at[place].is = AvroValue::Is::kList;
  }
  /// How many values the lists have that lie in a map, before its entries: those are another array item's.
  std::vector<std::size_t> begin_map(const AvroNode& map) const;
  /// Forgets what an equal key further up has left; `value` is the node of the key's values.
  void begin_entry(const AvroNode& map, const AvroNode& value, const std::vector<std::size_t>& before);
};

constexpr int kMostLevels = 128;
constexpr std::int64_t kMostValuesAByte = 64, kMostFreeValues = 65'536;

/// Reads values with one program; what is common to whoever makes what of them.
class AvroReading {
 public:
  /// `bytes` is how many there are in all.
  AvroReading(const AvroProgram& program, BodyCursor& in, std::size_t bytes)
      : in_(in), nodes_(program.nodes.data()), values_left_(kMostFreeValues + kMostValuesAByte * static_cast<std::int64_t>(bytes)) {}

 protected:
  /// One level deeper for as long as it lives.
  class Level {
   public:
    explicit Level(AvroReading& reading) : level_(reading.level_) {
      if (++level_ > kMostLevels) throw_too_deep();
    }
    ~Level() { --level_; }

   private:
    int& level_;
  };

  void begin_another() { values_left_ += kMostFreeValues; }
  const AvroNode& node(std::uint32_t index) const { return nodes_[index]; }
  void spend(std::size_t values) {
    values_left_ -= static_cast<std::int64_t>(values);
    if (values_left_ < 0) [[unlikely]] throw_too_many();
  }

  /// Takes a value of none but itself: not of a union, record, array, map or constant.
  AvroValue scalar(const AvroNode& node);
  /// Takes the branch of a union that is written.
  const AvroNode& branch(const AvroNode& node);

  /// Calls `take` for each item of an array, or entry of a map, `part` being what people call it.
  template <class Take>
  void items(std::string_view part, Take take) {
    Level level(*this);
    std::size_t begin = in_.at();
    try {
      while (std::int64_t count = in_.avro_long()) {
        std::size_t end = 0;
        bool has_end = count < 0;
        if (has_end) end = end_of_block(count);
        for (; count > 0; --count) {
          begin = in_.at();
          spend(1);
          take();
        }
        if (has_end && in_.at() != end) throw Unreadable{"the items of a block have other bytes than it says"};
        begin = in_.at();
      }
    } catch (Unreadable& unreadable) {
      unreadable.lies_in(part, begin);
      throw;
    }
  }

  /// Calls `take` with the index and the node of each field of a record that was written.
  template <class Take>
  void fields(const AvroNode& record, Take take) {
    Level level(*this);
    spend(record.children.size());
    std::size_t begin = 0, field = 0;
    try {
      for (; field < record.children.size(); ++field) {
        begin = in_.at();
        take(field, nodes_[record.children[field]]);
      }
    } catch (Unreadable& unreadable) {
      unreadable.lies_in(record.written[field], begin);
      throw;
    }
  }

  BodyCursor& in_;

 private:
  /// Takes the bytes of a block whose count is negative, which is made positive; returns where it has to end.
  std::size_t end_of_block(std::int64_t& count);
  [[noreturn]] static void throw_too_deep();
  [[noreturn]] static void throw_too_many();

  const AvroNode* nodes_;
  std::int64_t values_left_;
  int level_ = 0;
};

/// Reads values to their places.
class AvroColumns : AvroReading {
 public:
  AvroColumns(const AvroProgram& program, BodyCursor& in, std::size_t bytes, AvroValues& values)
      : AvroReading(program, in, bytes), program_(program), values_(values) {}

  /// Takes one value of the program's schema; throws Unreadable.
  void take() { take(node(program_.root)); }
  /// Lets another value, of the bytes that this was made for, have values of no bytes too.
  using AvroReading::begin_another;
  /// Takes one value of some node.
  void take(std::uint32_t index) { take(node(index)); }

 private:
  void take(const AvroNode& node);
  void take_map(const AvroNode& node);

  const AvroProgram& program_;
  AvroValues& values_;
};

}  // namespace user_state
