"""Tracks lie on axes of their own: what each places alone all place together, and no tile is finer than asked for."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trying import T0
from user_state._native import place_tiles
from user_state.plan.time_axis import TimeAxis
from user_state.plan.track_axes import TrackAxes

HOUR, DAY = 3600, 86_400
AXES = [
    TimeAxis.of_windows({600: 10, HOUR: 60, DAY: 1800}, 60, lifetime=False),
    TimeAxis.of_windows({DAY: 1800}, 60, lifetime=True),
    TimeAxis.of_windows({}, 60, lifetime=True),
    TimeAxis.of_windows({30 * DAY: 12 * HOUR}, 60, lifetime=False),
    TimeAxis.of_windows({DAY: 1800}, 60, lifetime=True),
]


def test_many_tracks_at_once_lie_where_each_lies_alone():
    rng = np.random.default_rng(1)
    lying = 0
    for clock_us in (T0 // 1_000_000 + rng.integers(0, 40 * DAY, 7)) * 1_000_000:
        track = rng.integers(0, len(AXES), 600)
        time_s = clock_us // 1_000_000 - rng.integers(-60, 40 * DAY, 600) // rng.integers(1, 1000, 600)
        start_s = place_tiles(TrackAxes(AXES), track, time_s, clock_us)
        for index, axis in enumerate(AXES):
            mine = np.flatnonzero(track == index)
            alone = place_tiles(TrackAxes([axis]), np.zeros_like(mine), time_s[mine], clock_us)
            np.testing.assert_array_equal(start_s[mine], alone)
        lying += np.count_nonzero(start_s >= 0)
    assert 0 < lying < 7 * 600


AXES_OF_TILES = st.builds(
    lambda windows, skew_s, lifetime: TimeAxis.of_windows(windows, skew_s, lifetime),
    st.dictionaries(st.sampled_from([48, 90, 600, 1800, HOUR]), st.sampled_from([1, 5, 10, 30, 60, 300]), min_size=1),
    st.integers(1, 90),
    st.booleans(),
)


@given(AXES_OF_TILES, st.integers(0, 10**6))
@settings(deadline=None, max_examples=60)
def test_no_axis_has_more_tiles_than_the_most_and_some_clock_has_nearly_as_many(axis: TimeAxis, begin_s: int):
    step_s = 7
    counts = [tiles_at([axis], clock_s) for clock_s in range(10 * DAY + begin_s, 10 * DAY + begin_s + 300, step_s)]
    # The fullest clock may lie between two that were tried: a second later is at most a tile more.
    assert max(counts) <= axis.most_tiles <= max(counts) + 2 * len(axis.levels) + step_s


@given(st.lists(AXES_OF_TILES, min_size=1, max_size=4), st.integers(0, 10**6))
@settings(deadline=None, max_examples=60)
def test_tracks_together_have_no_more_starts_than_the_most(axes: list[TimeAxis], begin_s: int):
    axes = [replace(axis, skew_s=60) for axis in axes]
    most = TrackAxes(axes).most_starts
    for clock_s in range(10 * DAY + begin_s, 10 * DAY + begin_s + 300, 37):
        assert tiles_at(axes, clock_s) <= most <= sum(axis.most_tiles for axis in axes)


def tiles_at(axes: list[TimeAxis], clock_s: int) -> int:
    """Return at how many times tiles begin, of a user who acts every second until the skew after the clock."""
    second = np.arange(clock_s - 2 * HOUR, clock_s + axes[0].skew_s + 1)
    starts = set()
    for axis in axes:
        start_s = place_tiles(TrackAxes([axis]), np.zeros_like(second), second, clock_s * 1_000_000)
        starts |= set(start_s[start_s >= 0].tolist())
    return len(starts)
