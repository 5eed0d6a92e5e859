#include "events/file_block.hpp"

namespace user_state {

namespace {

std::string_view attributes_of(std::string_view map) {
  bool any = false;
  BodyCursor in(map);
  take_map(in, [&](std::string_view, std::string_view) { any = true; });
  return any ? map : std::string_view();
}

/// Takes a record field by field, since of a map of attributes the bytes are asked for.
Message message_of(const FileLayout& layout, BodyCursor& in, AvroColumns& reading, AvroValues& values) {
  Message message;
  values.clear();
  for (std::size_t field = 0; field < layout.roles.size(); ++field) {
    std::size_t begin = in.at();
    reading.take(layout.program.nodes[layout.program.root].children[field]);
    if (layout.roles[field] == FileLayout::Role::kAttributes) message.attributes = attributes_of(in.since(begin));
  }
  message.body = values.at[FileLayout::kBodyPlace].text;
  const AvroValue& publish_time = values.at[FileLayout::kPublishTimePlace];
  if (publish_time.is == AvroValue::Is::kInteger) message.publish_us = publish_time.integer;
  return message;
}

}  // namespace

FileLayout::FileLayout(AvroProgram taken, std::vector<Role> of_fields)
    : program(std::move(taken)), roles(std::move(of_fields)), of_messages(!roles.empty()) {
  program.let_be_any_bytes();
  const AvroNode& record = program.nodes[program.root];
  need(record.kind == AvroNode::Kind::kRecord && (roles.empty() || roles.size() == record.children.size()));
  for (const AvroNode& node : program.nodes) {
    for (std::uint32_t place : node.places) need(place < kPlaces);
    for (std::uint32_t place : node.beneath) need(place < kPlaces);
  }
}

void take_block(std::string_view block, std::uint64_t count, const FileLayout& layout, std::string_view head,
                std::string_view origin, std::vector<Message>& out) {
  // Every schema's records take at least a byte, so that a count gone bad costs nothing.
  if (count > block.size()) throw Unreadable{"a block of fewer bytes than records"};
  BodyCursor in(block);
  AvroValues values(FileLayout::kPlaces);
  AvroColumns reading(layout.program, in, block.size(), values);
  out.reserve(out.size() + count);
  for (std::uint64_t record = 0; record < count; ++record) {
    std::size_t begin = in.at();
    Message message;
    if (layout.of_messages) {
      message = message_of(layout, in, reading, values);
    } else {
      reading.take();
      message.head = head;
      message.body = in.since(begin);
    }
    reading.begin_another();
    message.origin = origin;
    out.push_back(message);
  }
  if (in.left() > 0) throw Unreadable{"a block with bytes left over behind its records"};
}

}  // namespace user_state
