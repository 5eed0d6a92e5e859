#include "families/logs/stored.hpp"

#include <algorithm>

namespace user_state {

StoredLogs::StoredLogs(std::vector<LogShape> shapes) : shapes_(std::move(shapes)), begins_(shapes_.size()) {}

void StoredLogs::read(Reader in) {
  read_columns(in, columns_, shapes_);
  std::int64_t newest_us = columns_.newest_us;
  need(newest_us >= 0 && newest_us < kTooLarge, "the newest time is out of range");
  times_us_.resize(columns_.ages_us.size());
  columns_.ages_us.seen([&](auto ages_us) {
    std::int64_t* times_us = times_us_.data();
    std::uint64_t oldest_us = 0;
    for (std::size_t row = 0; row < times_us_.size(); ++row) {
      std::uint64_t age_us = ages_us(row);
      oldest_us = std::max(oldest_us, age_us);
      times_us[row] = static_cast<std::int64_t>(static_cast<std::uint64_t>(newest_us) - age_us);
    }
    need(oldest_us <= static_cast<std::uint64_t>(newest_us), "a row is of a time before 1970");
  });
  Begin next;
  for (std::size_t log = 0; log < shapes_.size(); ++log) {
    begins_[log] = next;
    std::size_t size = rows(log), end = next.row + size;
    const std::int64_t* times_us = times_us_.data();
    for (std::size_t row = next.row + 1; row < end; ++row) {
      std::int64_t later_us = times_us[row] - times_us[row - 1];
      need(later_us > 0 || (later_us == 0 && tie(row) >= tie(row - 1)), "rows are not ascending");
    }
    next = {end, next.text + size * shapes_[log].texts, next.number + size * shapes_[log].numbers};
  }
}

std::uint64_t StoredLogs::greatest_text() const {
  std::uint64_t greatest = 0;
  columns_.texts.seen([&](auto texts) {
    for (std::size_t cell = 0; cell < columns_.texts.size(); ++cell) greatest = std::max(greatest, texts(cell));
  });
  return greatest;
}

std::string describe_logs() { return describe_columns<LogColumns<Stored>>(std::vector<LogShape>()); }

}  // namespace user_state
