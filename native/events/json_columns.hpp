// Values of JSON to the places that ask for them: where those of Avro go.
#pragma once

#include <string_view>
#include <vector>

#include "events/avro_program.hpp"

namespace user_state {

/// A sink of JsonReading.
class JsonColumns {
 public:
  JsonColumns(const AvroProgram& program, AvroValues& values) : program_(program), values_(values) {}

  void scalar(const AvroNode& node, const AvroValue& value) { values_.put(node, value); }
  void absent(const AvroNode& constant) {
    if (constant.beneath.empty()) return;
    BodyCursor bytes(constant.bytes);
    AvroColumns(program_, bytes, constant.bytes.size(), values_).take(constant.children[0]);
  }
  void begin_record(const AvroNode&) {}
  void field(const AvroNode&, std::uint32_t) {}
  void end_record(const AvroNode& node) { put_other(node); }
  void begin_array(const AvroNode& node) { values_.begin_array(node); }
  void end_array(const AvroNode&) {}
  std::vector<std::size_t> begin_map(const AvroNode& node) { return values_.begin_map(node); }
  void entry(const AvroNode& map, std::string_view, const AvroNode& value, const std::vector<std::size_t>& before) {
    if (&value != &program_.nodes[map.children[0]]) values_.begin_entry(map, value, before);
  }
  void end_map(const AvroNode& node) { put_other(node); }

 private:
  void put_other(const AvroNode& node) { values_.put(node, {AvroValue::Is::kOther, 0, 0, {}}); }

  const AvroProgram& program_;
  AvroValues& values_;
};

}  // namespace user_state
