// A time as people read it: RFC 3339, in UTC, to the microsecond where it has any.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace user_state {

/// Returns microseconds since 1970 as such a text; what is before the year 1 or after 9999, as the number it is.
inline std::string time_text(std::int64_t time_us) {
  using namespace std::chrono;
  constexpr std::int64_t kYear1Us = -62'135'596'800'000'000, kYear10000Us = 253'402'300'800'000'000;
  if (time_us < kYear1Us || time_us >= kYear10000Us) return std::to_string(time_us) + " us from 1970";
  sys_time<microseconds> time{microseconds(time_us)};
  auto day = floor<days>(time);
  year_month_day date(day);
  hh_mm_ss<microseconds> of_day(time - day);
  char text[64];
  int size = std::snprintf(text, sizeof(text), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                           static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                           static_cast<int>(of_day.hours().count()), static_cast<int>(of_day.minutes().count()),
                           static_cast<int>(of_day.seconds().count()));
  std::string made(text, static_cast<std::size_t>(size));
  if (std::int64_t rest_us = of_day.subseconds().count(); rest_us != 0) {
    size = std::snprintf(text, sizeof(text), ".%06d", static_cast<int>(rest_us));
    made.append(text, static_cast<std::size_t>(size));
  }
  return made + "Z";
}

}  // namespace user_state
