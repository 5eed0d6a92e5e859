#include "events/file_block.hpp"

namespace user_state {

namespace {

void let_be_any_bytes(FlatType& type) {
  if (type.kind == FlatType::Kind::kString) type.kind = FlatType::Kind::kBytes;
  for (FlatType& branch : type.branches) let_be_any_bytes(branch);
}

std::string_view attributes_of(BodyCursor& in) {
  std::size_t begin = in.at();
  bool any = false;
  take_map(in, [&](std::string_view, std::string_view) { any = true; });
  return any ? in.since(begin) : std::string_view();
}

Message message_of(const FileLayout& layout, BodyCursor& in) {
  Message message;
  for (const FileLayout::Field& field : layout.fields) {
    if (field.role == FileLayout::Role::kAttributes) {
      message.attributes = attributes_of(in);
      continue;
    }
    AvroValue value = take_flat_value(field.type, in);
    if (field.role == FileLayout::Role::kBody) message.body = value.text;
    if (field.role == FileLayout::Role::kPublishTime && value.is == AvroValue::Is::kInteger) message.publish_us = value.integer;
  }
  return message;
}

}  // namespace

FileLayout::FileLayout(std::vector<Field> taken) : fields(std::move(taken)) {
  for (Field& field : fields) {
    let_be_any_bytes(field.type);
    of_messages |= field.role == Role::kBody;
  }
}

void take_block(std::string_view block, std::uint64_t count, const FileLayout& layout, std::string_view head,
                std::string_view origin, std::vector<Message>& out) {
  // Every schema's records take at least a byte, so that a count gone bad costs nothing.
  if (count > block.size()) throw Unreadable{"a block of fewer bytes than records"};
  BodyCursor in(block);
  out.reserve(out.size() + count);
  for (std::uint64_t record = 0; record < count; ++record) {
    std::size_t begin = in.at();
    Message message = message_of(layout, in);
    if (!layout.of_messages) {
      message.head = head;
      message.body = in.since(begin);
    }
    message.origin = origin;
    out.push_back(message);
  }
  if (in.left() > 0) throw Unreadable{"a block with bytes left over behind its records"};
}

}  // namespace user_state
