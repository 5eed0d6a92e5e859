"""Tracks lie on axes of their own: what each places alone all place together, and no tile is finer than asked for."""

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trying import T0
from user_state.core.time_axis import TimeAxis
from user_state.core.track_axes import TrackAxes

HOUR, DAY = 3600, 86_400
AXES = [
    TimeAxis.of_windows({600: 10, HOUR: 60, DAY: 1800}, 60, lifetime=False),
    TimeAxis.of_windows({DAY: 1800}, 60, lifetime=True),
    TimeAxis.of_windows({}, 60, lifetime=True),
    TimeAxis.of_windows({30 * DAY: 12 * HOUR}, 60, lifetime=False),
    TimeAxis.of_windows({DAY: 1800}, 60, lifetime=True),
]


def test_many_tracks_and_users_at_once_lie_where_each_lies_alone():
    rng = np.random.default_rng(1)
    clock_us = (T0 // 1_000_000 + rng.integers(0, 40 * DAY, 7)) * 1_000_000
    user, track = rng.integers(0, 7, 4000), rng.integers(0, len(AXES), 4000)
    time_s = clock_us[user] // 1_000_000 - rng.integers(-60, 40 * DAY, 4000) // rng.integers(1, 1000, 4000)
    start_s, kept = TrackAxes(AXES).place(user, time_s, track, clock_us)
    for index, axis in enumerate(AXES):
        for of_user in range(7):
            mine = np.flatnonzero((track == index) & (user == of_user))
            zeros = np.zeros(len(mine), np.int64)
            alone = TrackAxes([axis]).place(zeros, time_s[mine], zeros, clock_us[[of_user]])
            np.testing.assert_array_equal(start_s[mine], alone[0])
            np.testing.assert_array_equal(kept[mine], alone[1])
    assert 0 < np.count_nonzero(kept) < len(kept)


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
        none = np.zeros_like(second)
        start_s, kept = TrackAxes([axis]).place(none, second, none, np.array([clock_s * 1_000_000]))
        starts |= set(start_s[kept].tolist())
    return len(starts)
