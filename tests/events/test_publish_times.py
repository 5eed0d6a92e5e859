"""A publish time as text, in whichever unit."""

from __future__ import annotations

import datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from user_state.events.limits import END_TIME_US, FIRST_TIME_US
from user_state.events.publish_times import publish_time_us

MOMENTS_S = st.integers(FIRST_TIME_US // 10**6, END_TIME_US // 10**6 - 1)


@given(MOMENTS_S, st.sampled_from([0, 3, 6, 9]))
def test_a_number_says_its_unit_itself(moment_s: int, digits: int) -> None:
    """blockchain-etl/ethereum-etl#208 and apache/beam#20686: the same moment in seconds, or in nanoseconds."""
    assert publish_time_us(str(moment_s * 10**digits)) == moment_s * 10**6


@given(MOMENTS_S, st.integers(-14 * 60, 14 * 60), st.integers(0, 999_999))
def test_a_text_in_any_zone_is_its_moment(moment_s: int, minutes: int, micros: int) -> None:
    zone = datetime.timezone(datetime.timedelta(minutes=minutes))
    moment = datetime.datetime.fromtimestamp(moment_s, zone).replace(microsecond=micros)
    assert publish_time_us(moment.isoformat()) == moment_s * 10**6 + micros
    assert publish_time_us(str(moment)) == moment_s * 10**6 + micros


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("1764000000.123456", 1_764_000_000_123_456),
        ("1.764e15", 1_764_000_000_000_000),
        (" 1764000000000 ", 1_764_000_000_000_000),
        ("1764000000000000999", 1_764_000_000_000_000),
        ("2025-11-24T16:00:00.123456789Z", 1_764_000_000_123_456),
    ],
)
def test_fractions_count_to_the_microsecond(text: str, time_us: int) -> None:
    assert publish_time_us(text) == time_us


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "yesterday",
            "nan",
            "inf",
            "1e400",
            "0",
            "-1764000000",
            "9" * 30,
            "9" * 16,
            "5000000000",
            "1_764_000_000",
        ),
        *("2025-11-24", "2025-11-24T16:00:00", "2125-11-24T16:00:00Z", "٣" * 16, "1" * 10_000),
    ],
)
def test_anything_else_is_no_time(text: str) -> None:
    assert publish_time_us(text) is None


def test_the_ranges_of_the_units_touch_nowhere() -> None:
    ends = [(FIRST_TIME_US * 10**digits, (END_TIME_US - 1) * 10**digits) for digits in (0, 3, 6, 9)]
    assert all(last < first for (_, last), (first, _) in pairwise(ends))
