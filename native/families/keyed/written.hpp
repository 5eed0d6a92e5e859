// Columns of keyed families on their way out: most of them are copied from the section that was read, or numbered anew,
// as they are put.
#pragma once

#include "families/columns.hpp"

namespace user_state {

/// A column that somebody else puts, who has to be there still when it is written.
class WrittenBy {
 public:
  WrittenBy() = default;
  template <class Put>
  explicit WrittenBy(const Put& put)
      : put_(&put), call_([](const void* held, Writer& out) { (*static_cast<const Put*>(held))(out); }) {}

  void write(Writer& out) const { call_(put_, out); }

 private:
  const void* put_ = nullptr;
  void (*call_)(const void*, Writer&) = nullptr;
};

/// Beside `Stored` of columns.hpp.
struct FreshKeyed : Fresh {
  using Narrow = NarrowNumbers;
  using BulkNarrow = WrittenBy;
  template <class T>
  using Bulk = WrittenBy;
};

/// Those that are to be written are not counted.
inline std::size_t marked(const WrittenBy&, std::uint8_t) { return 0; }

}  // namespace user_state
