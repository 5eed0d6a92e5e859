"""Tracks lie on axes of their own: what each places alone all place together, and no tile is finer than asked for."""

import numpy as np

from tests.trying import T0, event, plan_of, record_of
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


def test_a_track_has_no_finer_tiles_than_its_windows_ask_for_whatever_others_do():
    plan = plan_of(
        features={
            "fine": {"aggregate": "count", "windows": ["10m", "30d"]},
            "coarse": {"aggregate": "sum", "of": "value", "windows": ["30d"]},
        }
    )
    events = [event(T0 + n * 5_000_000, value=1.0) for n in range(200)]
    tiles = record_of(plan, events).tiles
    spans = {track: len(np.unique(tiles.start_s[tiles.track == track])) for track in (0, 1)}
    assert spans[0] > 60
    assert spans[1] <= 2
