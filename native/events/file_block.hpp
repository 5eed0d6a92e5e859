// The records of an Avro file's block as messages: where each begins and ends, and nothing else.
//
// A file holds events, or messages as `avro/message.avsc` has them. What an event's bytes mean is the decoder's affair,
// so that one event that cannot be read is a dead letter, and not the end of its file; a block whose records cannot be
// told apart is damaged.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "events/event_batch.hpp"
#include "events/avro_program.hpp"

namespace user_state {

/// How the records of a file are taken apart.
struct FileLayout {
  enum class Role : std::uint8_t { kOther, kBody, kAttributes, kPublishTime };
  /// The places of the program's values.
  enum Place : std::uint8_t { kBodyPlace, kPublishTimePlace, kPlaces };

  /// `roles` are those of the fields of a message, one a field, of events none. Lets texts be any bytes: their ends are
  /// all that is asked for.
  FileLayout(AvroProgram program, std::vector<Role> roles);

  AvroProgram program;
  std::vector<Role> roles;
  /// Of messages there is a body among the fields; of events the record is the body, behind the file's head.
  bool of_messages;
};

/// Appends a block's `count` records, whose memory has to outlive the messages; throws Unreadable for a block that does
/// not hold just so many.
void take_block(std::string_view block, std::uint64_t count, const FileLayout& layout, std::string_view head,
                std::string_view origin, std::vector<Message>& out);

/// Takes an Avro map of strings, calling `taken` with each name and value.
template <class Taken>
void take_map(BodyCursor& in, Taken taken) {
  while (std::int64_t items = in.avro_long()) {
    auto left = static_cast<std::uint64_t>(items);
    if (items < 0) {
      left = 0 - left;
      in.avro_long();  // the bytes of these items, for those who read over them
    }
    for (; left > 0; --left) {
      std::string_view name = in.avro_bytes();
      taken(name, in.avro_bytes());
    }
  }
}

}  // namespace user_state
