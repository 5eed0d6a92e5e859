"""The wall clock decides to the microsecond; tests/families/test_against_oracle.py has any stream at any moment."""

from __future__ import annotations

from typing import Any

import pytest

from tests.trying import T0, D, M, event, plan_of, spec_of
from user_state.events.decode import EventDecoder
from user_state.events.screening import Screened, ahead_detail, screen
from user_state.state.events import Events

RETENTION = 400 * D


def screened(time_us: int, published_us: int | None = None, **parts: Any) -> Screened:
    plan = plan_of(**parts)
    row = EventDecoder(plan, spec_of().schema).row(event(time_us), published_us)
    [found] = screen(plan, Events.from_rows(plan, [row]), T0).tolist()
    return Screened(found)


@pytest.mark.parametrize(
    ("time_us", "expected"),
    [
        (T0 - RETENTION - 1, Screened.EXPIRED),
        (T0 - RETENTION, Screened.EXPIRED),
        (T0 - RETENTION + 1, Screened.PASSED),
        (T0 + M, Screened.PASSED),
        (T0 + M + 1, Screened.FROM_FUTURE),
    ],
)
def test_an_event_time_that_is_the_publish_time_too_is_bounded_on_both_sides(time_us, expected):
    assert screened(time_us) == expected


@pytest.mark.parametrize(("skew", "tolerance_us"), [("1s", M), ("10m", 10 * M)])
def test_a_publish_time_may_be_ahead_by_the_skew_and_at_least_a_minute(skew, tolerance_us):
    assert screened(T0, T0 + tolerance_us, max_clock_skew=skew) == Screened.PASSED
    assert screened(T0, T0 + tolerance_us + 1, max_clock_skew=skew) == Screened.FROM_FUTURE


def test_ignored_comes_before_expired_and_expired_before_from_the_future():
    likes = {"f": {"aggregate": "count", "where": {"action": "like"}, "windows": ["1h"]}}
    assert screened(T0 - RETENTION, T0 + D, features=likes) == Screened.IGNORED
    assert screened(T0 - RETENTION, T0 + D) == Screened.EXPIRED
    assert screened(T0 - RETENTION + 1, T0 + D) == Screened.FROM_FUTURE


def test_the_detail_says_how_far_ahead_and_how_far_it_may_be():
    assert ahead_detail(plan_of(max_clock_skew="5m"), T0 + 3 * D + M, T0) == (
        "the publish time is 3d ahead of this machine's clock, and may be at most 5m; one of the two clocks is wrong"
    )
