"""Tile widths, levels and placing: which tile an event of any age lies in."""

import itertools

import numpy as np
import pytest

from tests.trying import plan_of
from user_state._native import place_tiles
from user_state.plan.time_axis import TILE_WIDTHS_S, Level, TimeAxis, default_tile_width_s, window_start_s
from user_state.plan.track_axes import TrackAxes

MINUTE, HOUR, DAY = 60, 3600, 86_400
CLOCK_S = 19_000 * DAY + 12 * HOUR + 34 * MINUTE + 56


def axis(windows: dict[int, int], *, skew_s: int = 0, lifetime: bool = False) -> TimeAxis:
    return TimeAxis.of_windows(windows, skew_s, lifetime)


def placed(of: TimeAxis, time_s: int, clock_s: int = CLOCK_S) -> int | None:
    """Return the start of the tile that a second lies in, None if it lies in none."""
    start, kept = place(of, np.array([time_s]), clock_s)
    return int(start[0]) if kept[0] else None


def place(of: TimeAxis, times_s, clock_s: int):
    """Return (starts, kept) of one user's times on one axis."""
    starts = place_tiles(TrackAxes([of]), np.zeros(len(times_s), np.int64), times_s, clock_s * 1_000_000)
    return starts, starts >= 0


@pytest.mark.parametrize(
    ("window_s", "width_s"),
    [
        (48, 1),
        (90, 1),
        (239, 1),
        (240, 5),
        (241, 1),
        (10 * MINUTE, 10),
        (HOUR, MINUTE),
        (DAY, 30 * MINUTE),
        (7 * DAY, 3 * HOUR),
        (30 * DAY, 12 * HOUR),
        (48 * DAY, DAY),
        (400 * DAY, DAY),
    ],
)
def test_default_width_is_the_widest_of_at_most_a_48th_that_divides_the_window(window_s, width_s):
    assert default_tile_width_s(window_s) == width_s


def test_a_window_of_47_s_has_no_default_width():
    with pytest.raises(ValueError, match="window of 47 s is too short"):
        default_tile_width_s(47)


def test_each_default_width_divides_the_next():
    assert [b % a for a, b in itertools.pairwise(TILE_WIDTHS_S)] == [0] * (len(TILE_WIDTHS_S) - 1)


def test_widths_that_do_not_divide_each_other_are_refused():
    with pytest.raises(ValueError, match="10 s does not divide 45 s"):
        axis({600: 10, 3600: 45})


def test_windows_of_one_width_share_a_level_that_reaches_as_far_as_the_longest():
    assert axis({600: 10, 500: 10, 3600: 60}).levels == (Level(10, 600), Level(60, 3600))


def test_a_coarser_level_that_reaches_no_further_is_left_out():
    assert axis({3600: 60, 1800: 600}).levels == (Level(60, 3600),)


@pytest.mark.parametrize(
    ("at_us", "start_s"),
    [
        (1_000_000_000_000, 999_400),
        (1_000_009_999_999, 999_400),
        (1_000_010_000_000, 999_410),
        (999_999_999_999, 999_390),
    ],
)
def test_a_window_starts_at_the_tile_edge_at_or_before_its_length_ago(at_us, start_s):
    assert window_start_s(at_us, 600, 10) == start_s


def test_an_event_lies_in_ever_wider_tiles_as_it_ages_and_then_in_none():
    of = axis({600: 10, 3600: 60, DAY: 1800})
    begin_s = CLOCK_S // 1800 * 1800
    event_s = begin_s + 17
    ages = {0: begin_s + 10, 599: begin_s + 10, 700: begin_s, 3599: begin_s, 3700: begin_s, DAY + 1800 + 17: None}
    assert {age: placed(of, event_s, event_s + age) for age in ages} == ages


@pytest.mark.parametrize("skew_s", [0, 7, 300])
def test_the_finest_level_ends_exactly_at_its_cut(skew_s):
    of = axis({600: 10, 3600: 60}, skew_s=skew_s)
    cut_s = (CLOCK_S - skew_s - 600) // 60 * 60
    assert placed(of, cut_s + 10) == cut_s + 10
    assert placed(of, cut_s) == cut_s
    assert placed(of, cut_s - 1) == cut_s - 60


@pytest.mark.parametrize(("lifetime", "beyond"), [(False, None), (True, 0)])
def test_what_is_older_than_the_last_level_is_dropped_or_joins_the_lifetime_tile(lifetime, beyond):
    of = axis({600: 10}, lifetime=lifetime)
    cut_s = (CLOCK_S - 600) // 10 * 10
    assert placed(of, cut_s) == cut_s
    assert placed(of, cut_s - 1) == beyond


def test_without_any_window_everything_is_in_the_lifetime_tile():
    of = axis({}, lifetime=True)
    assert (of.levels, placed(of, 1), placed(of, CLOCK_S)) == ((), 0, 0)


def test_an_event_after_the_clock_lies_in_the_finest_tile():
    assert placed(axis({600: 10, 3600: 60}), CLOCK_S + 1234) == (CLOCK_S + 1234) // 10 * 10


@pytest.mark.parametrize("lifetime", [False, True])
def test_rolling_up_step_by_step_ends_where_placing_at_once_does(lifetime):
    """Placing is idempotent, and the way an event's tile took through earlier clocks leaves no trace."""
    rng = np.random.default_rng(3)
    of = axis({600: 10, 3600: 60, DAY: 1800, 7 * DAY: 10_800}, skew_s=60, lifetime=lifetime)
    events_s = CLOCK_S - rng.integers(-60, 9 * DAY, 5000)
    clocks_s = np.sort(CLOCK_S + rng.integers(-3 * DAY, 3 * DAY, 20))
    stepwise, alive = events_s.copy(), np.ones(len(events_s), bool)
    for clock_s in clocks_s:
        stepwise, kept = place(of, stepwise, clock_s)
        alive &= kept
        again, kept_again = place(of, stepwise, clock_s)
        np.testing.assert_array_equal(again[alive], stepwise[alive])
        assert kept_again[alive].all()
    at_once, kept = place(of, events_s, clocks_s[-1])
    np.testing.assert_array_equal(alive, kept)
    np.testing.assert_array_equal(stepwise[alive], at_once[kept])
    assert np.count_nonzero(alive) > 0


def test_a_plan_has_the_levels_of_its_windows_with_the_widths_it_sets():
    views = {"aggregate": "count", "windows": ["10m", "1h", "1d", "lifetime"]}
    assert plan_of(features={"views": views}).axis == axis({600: 10, 3600: 60, DAY: 1800}, skew_s=60, lifetime=True)
    coarse = plan_of(features={"views": views}, tiles={"1d": "1h"})
    assert coarse.axis.levels[-1] == Level(3600, DAY)
