// Avro programs as Python makes them (user_state/events/avro_program.py), and events as Python has them.
#pragma once

#include <pybind11/pybind11.h>

#include <string_view>

#include "events/avro_program.hpp"

namespace user_state {

AvroProgram program_of(pybind11::handle program);

/// All fields of one record by the names of the program's reader; throws Unreadable.
pybind11::object object_of(const AvroProgram& program, BodyCursor& in, std::size_t bytes);

/// The same of JSON, of a program for it.
pybind11::object object_of_json(const AvroProgram& program, std::string_view body);

/// A value that Python has read, which has to outlive this.
AvroValue value_of(pybind11::handle value);

/// Text as Python has it; bytes that are no UTF-8 are spelled out.
pybind11::object str_of(std::string_view text);

}  // namespace user_state
