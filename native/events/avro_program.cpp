#include "events/avro_program.hpp"

#include <algorithm>
#include <limits>

namespace user_state {

using Is = AvroValue::Is;
using NodeKind = AvroNode::Kind;

void AvroProgram::let_be_any_bytes() {
  for (AvroNode& node : nodes) {
    if (node.kind == NodeKind::kString || node.kind == NodeKind::kBytesOfString) node.kind = NodeKind::kBytes;
  }
}

void AvroValues::clear() {
  for (AvroValue& value : at) value = {};
  for (std::vector<AvroValue>& list : lists) list.clear();
}

std::vector<std::size_t> AvroValues::begin_map(const AvroNode& map) const {
  std::vector<std::size_t> before;
  if (map.keys.empty()) return before;
  for (std::uint32_t place : map.beneath) before.push_back(lists[place].size());
  return before;
}

void AvroValues::begin_entry(const AvroNode& map, const AvroNode& value, const std::vector<std::size_t>& before) {
  for (std::size_t index = 0; index < map.beneath.size(); ++index) {
    std::uint32_t place = map.beneath[index];
    if (std::ranges::find(value.beneath, place) == value.beneath.end()) continue;
    at[place] = {};
    lists[place].resize(before[index]);
  }
}

void AvroReading::throw_too_deep() {
  throw Unreadable{"values lie more than " + std::to_string(kMostLevels) + " levels deep in records, arrays and maps"};
}

void AvroReading::throw_too_many() {
  throw Unreadable{"there are more than " + std::to_string(kMostFreeValues) + " values beyond " +
                   std::to_string(kMostValuesAByte) + " a byte"};
}

AvroValue AvroReading::scalar(const AvroNode& node) {
  switch (node.kind) {
    case NodeKind::kNull: return {};
    case NodeKind::kBoolean: return AvroValue::of_integer(in_.avro_boolean(), Is::kBoolean);
    case NodeKind::kInt: return AvroValue::of_integer(in_.avro_int());
    case NodeKind::kLong: return AvroValue::of_integer(in_.avro_long());
    case NodeKind::kFloat: return AvroValue::of_real(in_.take<float>());
    case NodeKind::kDouble: return AvroValue::of_real(in_.take<double>());
    case NodeKind::kRealOfInt: return AvroValue::of_real(static_cast<double>(in_.avro_int()));
    case NodeKind::kRealOfLong: return AvroValue::of_real(static_cast<double>(in_.avro_long()));
    case NodeKind::kString: return AvroValue::of_text(in_.avro_text());
    case NodeKind::kBytesOfString: return AvroValue::of_text(in_.avro_text(), Is::kBytes);
    case NodeKind::kBytes: return AvroValue::of_text(in_.avro_bytes(), Is::kBytes);
    case NodeKind::kFixed: return AvroValue::of_text(in_.bytes(node.size), Is::kBytes);
    case NodeKind::kUuid: return AvroValue::of_text(in_.bytes(node.size), Is::kUuid);
    case NodeKind::kDecimal: return {Is::kDecimal, node.scale, 0, in_.avro_bytes()};
    case NodeKind::kFixedDecimal: return {Is::kDecimal, node.scale, 0, in_.bytes(node.size)};
    case NodeKind::kEnum: {
      auto index = static_cast<std::uint64_t>(in_.avro_int());
      if (index >= node.symbols.size()) {
        throw Unreadable{"the enum has " + std::to_string(node.symbols.size()) +
                         " symbols, and the index is none of them"};
      }
      if (!node.symbols[index].known) throw Unreadable{"the symbol is in the writer's enum, but not in the reader's"};
      return AvroValue::of_text(node.symbols[index].text);
    }
    default: throw Unreadable{node.why};
  }
}

const AvroNode& AvroReading::branch(const AvroNode& node) {
  auto index = static_cast<std::uint64_t>(in_.avro_long());
  if (index >= node.children.size()) {
    throw Unreadable{"the union has " + std::to_string(node.children.size()) +
                     " branches, and the index is none of them"};
  }
  return nodes_[node.children[index]];
}

std::size_t AvroReading::end_of_block(std::int64_t& count) {
  if (count == std::numeric_limits<std::int64_t>::min()) throw Unreadable{"the count of a block does not fit 64 bits"};
  count = -count;
  std::int64_t bytes = in_.avro_long();
  if (bytes < 0) throw Unreadable{"the size of a block is negative"};
  if (static_cast<std::uint64_t>(bytes) > in_.left()) {
    throw Unreadable{"the bytes end too early: a block of " + std::to_string(bytes) + " begins, " +
                     std::to_string(in_.left()) + " are left"};
  }
  return in_.at() + static_cast<std::size_t>(bytes);
}

void AvroColumns::take(const AvroNode& node) {
  switch (node.kind) {
    case NodeKind::kUnion: take(branch(node)); break;
    case NodeKind::kRecord:
      fields(node, [this](std::size_t, const AvroNode& field) { take(field); });
      for (std::uint32_t constant : node.constants) take(this->node(constant));
      values_.put(node, {Is::kOther, 0, 0, {}});
      break;
    case NodeKind::kArray: {
      values_.begin_array(node);
      const AvroNode& item = this->node(node.children[0]);
      items("[]", [&] { take(item); });
      break;
    }
    case NodeKind::kMap: take_map(node); break;
    case NodeKind::kConstant: {
      if (node.beneath.empty()) break;
      BodyCursor constant(node.bytes);
      AvroColumns(program_, constant, node.bytes.size(), values_).take(node.children[0]);
      break;
    }
    default: values_.put(node, scalar(node));
  }
}

void AvroColumns::take_map(const AvroNode& node) {
  const AvroNode& others = this->node(node.children[0]);
  if (node.keys.empty()) {
    items("{}", [&] {
      in_.avro_text();
      take(others);
    });
  } else {
    std::vector<std::size_t> before = values_.begin_map(node);
    items("{}", [&] {
      std::string_view text = in_.avro_text();
      const AvroNode* value = &others;
      for (const AvroNode::Key& key : node.keys) {
        if (key.text == text) value = &this->node(key.child);
      }
      if (value != &others) values_.begin_entry(node, *value, before);
      take(*value);
    });
  }
  values_.put(node, {Is::kOther, 0, 0, {}});
}

}  // namespace user_state
