// JSON events, read front to back by a program of their Avro schema (user_state/events/json_program.py).
//
//   record   an object. A member is a field by its name, or else by an alias of the field; a field that is left out has
//            its default, or is null where it may be, or else the event is refused. A field that is there twice is
//            refused. Other members are read over.
//   map      an object; of equal keys the last counts, as in Avro
//   array    an array
//   union    the value itself, or, as in Avro's own JSON, an object with one member, the name of the branch; such an
//            object is refused where it may be one of another branch, too. A text is a string before all else; a whole number an int or long, and another
//            a double, before any other number; else the first branch that takes it counts.
//
// All of an event is held against the schema, asked for or not, so that whether it is one does not hang on what a spec
// asks for. `json_scalars.hpp` has the scalars. The bounds are those of Avro (`avro_program.hpp`).
//
// What becomes of the values is up to a sink:
//
//   scalar(node, value)        begin_array(node)             end_array(node)
//   absent(constant)           begin_record(node)            end_record(node)      field(node, number)
//                              M begin_map(node)             end_map(node)         entry(node, key, value node, M&)
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "events/avro_program.hpp"
#include "events/json_scalars.hpp"
#include "events/json_text.hpp"

namespace user_state {

/// What reading writes on, made once for many events.
struct JsonScratch {
  /// A field that is there by another name than its own.
  struct Renamed {
    std::uint32_t field, alias;
    std::size_t at;
  };

  MadeTexts made;
  /// Of the records that are being read, outer ones first: which fields are there.
  std::vector<std::uint8_t> seen;
  std::vector<Renamed> renamed;
};

template <class Sink>
class JsonReading {
 public:
  /// `body` has to outlive what the sink keeps, and so have the program and the scratch.
  JsonReading(const AvroProgram& program, std::string_view body, JsonScratch& scratch, Sink& sink)
      : program_(program), in_(body, kMostLevels), scratch_(scratch), sink_(sink),
        values_left_(kMostFreeValues + kMostValuesAByte * static_cast<std::int64_t>(body.size())) {
    scratch_.made.clear(body.size());
    scratch_.seen.clear();
    scratch_.renamed.clear();
  }

  /// Takes the whole body; throws Unreadable.
  void take() {
    try {
      take(node(program_.root));
      in_.end();
    } catch (Unreadable& unreadable) {
      if (unreadable.field.empty()) unreadable.at = in_.at();
      throw;
    }
  }

 private:
  using Kind = AvroNode::Kind;

  const AvroNode& node(std::uint32_t index) const { return program_.nodes[index]; }
  void spend(std::size_t values) {
    values_left_ -= static_cast<std::int64_t>(values);
    if (values_left_ < 0) [[unlikely]] {
      throw Unreadable{"there are more than " + std::to_string(kMostFreeValues) + " values beyond " +
                       std::to_string(kMostValuesAByte) + " a byte"};
    }
  }

  void take(const AvroNode& node) {
    switch (node.kind) {
      case Kind::kRecord: take_record(node); break;
      case Kind::kArray: take_array(node); break;
      case Kind::kMap: take_map(node); break;
      case Kind::kUnion: take_union(node); break;
      default: take_scalar(node, false);
    }
  }

  void take_scalar(const AvroNode& node, bool in_avros_form) {
    AvroValue value;
    bool taken = false;
    char first = in_.next();
    switch (first) {
      case '"': taken = take_json_text(node, in_.text(scratch_.made), in_avros_form, scratch_.made, value); break;
      case 't':
      case 'f':
        in_.word(first == 't' ? "true" : "false");
        value = AvroValue::of_integer(first == 't', AvroValue::Is::kBoolean);
        taken = node.kind == Kind::kBoolean;
        break;
      case 'n':
        in_.word("null");
        taken = node.kind == Kind::kNull;
        break;
      case '{':
      case '[': break;
      default:
        if (!is_number(first)) in_.throw_no_value();
        taken = take_json_number(node, in_.number(), scratch_.made, value);
    }
    if (!taken) [[unlikely]] throw_other(node, first);
    sink_.scalar(node, value);
  }

  void take_record(const AvroNode& node) {
    if (in_.next() != '{') throw_other(node, in_.next());
    in_.enter();
    spend(node.children.size());
    sink_.begin_record(node);
    const std::size_t fields = node.children.size(), seen = scratch_.seen.size(), renamed = scratch_.renamed.size();
    scratch_.seen.resize(seen + fields, 0);
    std::size_t there = 0;
    if (!in_.skip('}')) {
      std::uint32_t expected = 0;
      do {
        std::uint32_t named = member_of(node, expected);
        if (named == TextIndex::kFree) {
          in_.skip_value();
        } else if (named < fields) {
          take_field(node, named, seen);
          ++there;
          expected = named + 1;
        } else {
          put_off(node, named - static_cast<std::uint32_t>(fields), renamed);
        }
      } while (in_.another('}'));
    }
    if (there < fields) take_missing(node, seen, renamed);
    scratch_.seen.resize(seen);
    scratch_.renamed.resize(renamed);
    in_.leave();
    sink_.end_record(node);
  }

  /// Takes a member's name; returns the number of the field, or, behind the fields, of the alias that it is.
  std::uint32_t member_of(const AvroNode& node, std::uint32_t expected) {
    if (in_.next() != '"') in_.throw_no_name();
    // Most senders write members in one order.
    if (expected < node.children.size() && in_.skip_name(node.names[expected])) return expected;
    return node.index.number_of(in_.name(scratch_.made));
  }

  void take_field(const AvroNode& node, std::uint32_t field, std::size_t seen) {
    std::size_t begin = (in_.next(), in_.at());
    try {
      std::uint8_t& there = scratch_.seen[seen + field];
      if (there != 0) [[unlikely]] throw Unreadable{"it is there twice"};
      there = 1;
      sink_.field(node, field);
      take(this->node(node.children[field]));
    } catch (Unreadable& unreadable) {
      unreadable.lies_in(node.names[field], begin);
      throw;
    }
  }

  /// Keeps in mind where a field is that has another name, in case that it is not there by its own.
  void put_off(const AvroNode& node, std::uint32_t alias, std::size_t renamed) {
    in_.next();
    JsonScratch::Renamed one{node.keys[alias].child, alias, in_.at()};
    for (std::size_t at = renamed; at < scratch_.renamed.size(); ++at) {
      if (scratch_.renamed[at].alias != alias) continue;
      Unreadable twice{"it is there twice, by another name"};
      twice.lies_in(node.names[one.field], one.at);
      throw twice;
    }
    scratch_.renamed.push_back(one);
    in_.skip_value();
  }

  void take_missing(const AvroNode& node, std::size_t seen, std::size_t renamed) {
    for (std::uint32_t field = 0; field < node.children.size(); ++field) {
      if (scratch_.seen[seen + field] != 0) continue;
      const JsonScratch::Renamed* found = nullptr;
      for (std::size_t at = renamed; at < scratch_.renamed.size(); ++at) {
        const JsonScratch::Renamed& one = scratch_.renamed[at];
        if (one.field == field && (found == nullptr || one.alias < found->alias)) found = &one;
      }
      if (found != nullptr) {
        std::size_t here = in_.at();
        in_.go_to(found->at);
        take_field(node, field, seen);
        in_.go_to(here);
      } else if (node.absent[field] != AvroNode::kNobody) {
        const AvroNode& constant = this->node(node.absent[field]);
        spend(constant.bytes.size());
        sink_.field(node, field);
        sink_.absent(constant);
      } else {
        Unreadable missing{"it is left out, and has no default"};
        missing.lies_in(node.names[field], in_.at());
        throw missing;
      }
    }
  }

  void take_array(const AvroNode& node) {
    if (in_.next() != '[') throw_other(node, in_.next());
    in_.enter();
    sink_.begin_array(node);
    const AvroNode& item = this->node(node.children[0]);
    std::size_t begin = in_.at();
    try {
      if (!in_.skip(']')) {
        do {
          begin = (in_.next(), in_.at());
          spend(1);
          take(item);
        } while (in_.another(']'));
      }
    } catch (Unreadable& unreadable) {
      unreadable.lies_in("[]", begin);
      throw;
    }
    in_.leave();
    sink_.end_array(node);
  }

  void take_map(const AvroNode& node) {
    if (in_.next() != '{') throw_other(node, in_.next());
    in_.enter();
    auto held = sink_.begin_map(node);
    const AvroNode& others = this->node(node.children[0]);
    std::size_t begin = in_.at();
    try {
      if (!in_.skip('}')) {
        do {
          begin = (in_.next(), in_.at());
          spend(1);
          if (in_.next() != '"') in_.throw_no_name();
          std::string_view text = in_.name(scratch_.made);
          const AvroNode* value = &others;
          for (const AvroNode::Key& key : node.keys) {
            if (key.text == text) value = &this->node(key.child);
          }
          sink_.entry(node, text, *value, held);
          take(*value);
        } while (in_.another('}'));
      }
    } catch (Unreadable& unreadable) {
      unreadable.lies_in("{}", begin);
      throw;
    }
    in_.leave();
    sink_.end_map(node);
  }

  void take_union(const AvroNode& node) {
    char first = in_.next();
    if (first == '"') {
      std::string_view text = in_.text(scratch_.made);
      take_best(node, first, [](const AvroNode& branch) { return json_rank_of_text(branch); },
                [&](const AvroNode& branch, AvroValue& value) {
                  return take_json_text(branch, text, false, scratch_.made, value);
                });
    } else if (is_number(first)) {
      JsonNumber number = in_.number();
      take_best(node, first, [&](const AvroNode& branch) { return json_rank_of_number(branch, number); },
                [&](const AvroNode& branch, AvroValue& value) {
                  return take_json_number(branch, number, scratch_.made, value);
                });
    } else if (first == '{') {
      take_object(node);
    } else {
      Kind kind = first == 'n' ? Kind::kNull : first == '[' ? Kind::kArray : Kind::kBoolean;
      for (std::uint32_t child : node.children) {
        if (this->node(child).kind == kind) return take(this->node(child));
      }
      if (first == 'n' || first == '[' || first == 't' || first == 'f') throw_other(node, first);
      in_.throw_no_value();
    }
  }

  /// Takes a scalar as the branch that it goes best with, of those that take it.
  template <class RankOf, class Take>
  void take_best(const AvroNode& node, char first, RankOf rank_of, Take take) {
    constexpr int kRanks = 3;
    for (int rank = 0; rank < kRanks; ++rank) {
      for (std::uint32_t child : node.children) {
        const AvroNode& branch = this->node(child);
        AvroValue value;
        if (rank_of(branch) != rank || !take(branch, value)) continue;
        sink_.scalar(branch, value);
        return;
      }
    }
    throw_other(node, first);
  }

  /// Takes an object: a branch in Avro's own form, or else the only record or map.
  void take_object(const AvroNode& node) {
    std::size_t begin = in_.at();
    const AvroNode* only = nullptr;
    int objects = 0;
    for (std::uint32_t child : node.children) {
      const AvroNode& branch = this->node(child);
      if (branch.kind != Kind::kRecord && branch.kind != Kind::kMap) continue;
      only = &branch;
      ++objects;
    }
    const AvroNode* named = nullptr;
    in_.enter();
    std::string_view name;
    if (in_.next() == '"') {
      name = in_.name(scratch_.made);
      for (std::size_t at = 0; at < node.names.size(); ++at) {
        if (!node.names[at].empty() && node.names[at] == name) named = &this->node(node.children[at]);
      }
    }
    // A map's entries are an object, or else the name is a key.
    if (named != nullptr && named->kind == Kind::kMap && in_.next() != '{') named = nullptr;
    for (const AvroNode::Key& key : node.keys) {
      if (name != key.text || (this->node(key.child).kind == Kind::kMap && in_.next() != '{')) continue;
      in_.skip_value();
      if (in_.another('}')) break;
      throw Unreadable{"an object whose one member is called as a branch of the union may be that, or an object of another branch"};
    }
    if (named != nullptr) {
      if (is_scalar(*named)) {
        take_scalar(*named, true);
      } else {
        take(*named);
      }
      if (in_.another('}')) throw Unreadable{"expected one member, the name of the union's branch, got more"};
      in_.leave();
      return;
    }
    in_.leave();
    in_.go_to(begin);
    if (objects == 1) return take(*only);
    if (objects == 0) throw_other(node, '{');
    throw Unreadable{"expected an object with one member, the name of a branch: the union has several that are objects"};
  }

  static bool is_number(char first) { return first == '-' || (first >= '0' && first <= '9'); }
  static bool is_scalar(const AvroNode& node) {
    return node.kind != Kind::kRecord && node.kind != Kind::kArray && node.kind != Kind::kMap && node.kind != Kind::kUnion;
  }

  [[noreturn]] void throw_other(const AvroNode& node, char first) const {
    std::string got;
    switch (first) {
      case '{': got = "an object"; break;
      case '[': got = "an array"; break;
      case '"': got = "a text"; break;
      case 't': got = "true"; break;
      case 'f': got = "false"; break;
      case 'n': got = "null"; break;
      default:
        if (!is_number(first)) in_.throw_no_value();
        got = "a number";
    }
    std::string expected = json_words_of(program_, node);
    bool is_alike = expected.find(got) != std::string::npos || (got == "a number" && expected.find("number") != std::string::npos);
    throw Unreadable{"expected " + expected + ", got " + (is_alike && got.starts_with("a") ? "another one" : got)};
  }

  const AvroProgram& program_;
  JsonCursor in_;
  JsonScratch& scratch_;
  Sink& sink_;
  std::int64_t values_left_;
};

}  // namespace user_state
