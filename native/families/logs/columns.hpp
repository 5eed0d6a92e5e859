// A record's logs in bytes: the rows of all of them, log by log and oldest first, as columns. All logs share their
// columns, so that a record is cut into a handful of pieces however many logs it has: fields of strings stand log by
// log, and in a log field by field, and so do all other fields but the event time, which is the row's own. A layout
// without logs has no bytes here.
//
// What is nearly always zero is left out: ages of nine years or more, and what dictionaries of up to 255 strings and of
// up to 65,535 do not need.
#pragma once

#include "families/columns.hpp"

namespace user_state {

/// How many columns of a log hold strings, and how many hold other things than the row's own time.
struct LogShape {
  std::size_t texts = 0, numbers = 0;
};

template <class As>
struct LogColumns {
  static constexpr std::uint8_t kFarTimes = 1, kTwoBytes = 2, kFourBytes = 4;

  std::uint8_t flags = 0;
  typename As::template Column<std::uint16_t> sizes;
  std::int64_t newest_us = 0;
  typename As::template Split<Part<std::uint32_t>, Part<std::uint16_t>, Part<std::uint16_t, kFarTimes>> ages_us;
  typename As::template Column<std::uint32_t> ties;
  typename As::template Split<Part<std::uint8_t>, Part<std::uint8_t, kTwoBytes>, Part<std::uint16_t, kFourBytes>> texts;
  typename As::template Column<std::int64_t> numbers;

  template <class Archive>
  void list(Archive& of, const std::vector<LogShape>& shapes) {
    of.flags(flags, {{kFarTimes, "a row is nine years or more older than the newest"},
                     {kTwoBytes, "a string has a number above 255"},
                     {kFourBytes, "a string has a number above 65,535"}});
    of.column(sizes, {shapes.size(), "log"}, "how many rows");
    of.number(newest_us, "the newest time of all, microseconds; 0 if there are no rows");
    std::size_t in_texts = 0, in_numbers = 0;
    for (std::size_t log = 0; log < sizes.size(); ++log) {
      in_texts += sizes[log] * shapes[log].texts;
      in_numbers += sizes[log] * shapes[log].numbers;
    }
    Count rows{total(sizes), "row"};
    of.split(ages_us, rows, flags, "microseconds before the newest");
    of.column(ties, rows, "the upper half of the event id's hash: orders rows of one microsecond");
    of.split(texts, {in_texts, "row and field of strings"}, flags, "the string's number, 0 for null; a list is a string, as JSON");
    of.column(numbers, {in_numbers, "row and other field"},
              "the bits of a float, NaN being null, or an integer, -2^63 being null");
  }
};

}  // namespace user_state
