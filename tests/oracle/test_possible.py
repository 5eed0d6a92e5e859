"""Which events a record may hold when it is not known when they were read: by tables worked out by hand."""

from __future__ import annotations

import pytest

from tests.oracle.by_hand import T0, D, H, M, event, spec_of
from user_state.oracle import Arrival, possible, replay
from user_state.spec.model import Spec

R = 90 * D


def choices(spec: Spec, arrivals: list[Arrival], written_us: int = T0, first_us: int | None = None) -> list[str]:
    """Return the ids of what may have been applied, choice by choice, of the one user in doubt; none for nobody."""
    found = possible(spec, arrivals, replay(spec, arrivals, now_us=T0).bins, [written_us] * len(arrivals), T0)
    return [
        "".join(e.event["event_id"] for e in applied) for one in found.values() for _, applied in one.choices(first_us)
    ]


@pytest.mark.parametrize(
    ("time_us", "doubtful"), [(T0 - R - D, True), (T0 - R, True), (T0 - R + H, True), (T0 - R + H + 1, False)]
)
def test_an_event_is_in_doubt_until_an_hour_short_of_the_retention(time_us: int, doubtful: bool) -> None:
    assert choices(spec_of(), [Arrival(event("a", time_us))]) == (["a", ""] if doubtful else [])


def test_old_events_are_left_out_from_the_oldest_on_and_young_ones_never() -> None:
    arrivals = [Arrival(event(name, T0 - R - at * M)) for name, at in (("c", 1), ("b", 2), ("a", 3))]
    arrivals.append(Arrival(event("y", T0)))
    assert choices(spec_of(allowed_lateness="2m"), arrivals) == ["cbay", "y", "cy", "cby"]
    assert choices(spec_of(), arrivals, first_us=T0 - R - M - 1) == ["cy", "cbay", "y", "cby"]


@pytest.mark.parametrize(
    ("ahead_us", "expected"), [(M, []), (M + 1, ["ap", "a"]), (H + M, ["ap", "a"]), (H + M + 1, [])]
)
def test_what_was_ahead_of_its_file_and_is_not_any_more_may_have_been_refused(
    ahead_us: int, expected: list[str]
) -> None:
    """The file was written an hour ago; what is still ahead was refused whenever it was read."""
    published_us = T0 - H + ahead_us
    arrivals = [Arrival(event("a", T0 - H)), Arrival(event("p", published_us), published_us)]
    assert choices(spec_of(allowed_lateness="1d"), arrivals, T0 - H) == expected


def test_a_refused_event_moves_no_clock_so_what_it_made_too_late_may_have_been_applied() -> None:
    ahead = Arrival(event("p", T0), T0)
    late = Arrival(event("l", T0 - 2 * H))
    assert choices(spec_of(), [ahead, late], T0 - H) == ["p", "l"]


def test_what_is_refused_or_ignored_whenever_it_is_read_leaves_nothing_in_doubt() -> None:
    likes = {"aggregate": "count", "where": {"action": "like"}, "windows": "1h"}
    arrivals = [
        Arrival(event("too late", T0 - R), T0),
        Arrival(event("ahead of its publish time", T0 - R), T0 - R - M - 1),
        Arrival(None),
        Arrival(event("", T0 - R)),
    ]
    assert choices(spec_of(), arrivals) == []
    assert choices(spec_of(features={"f": likes}), [Arrival(event("not wanted", T0 - R))]) == []
