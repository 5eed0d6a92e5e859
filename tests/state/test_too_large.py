"""A user whose record would hold more than its bytes can count is set aside; everybody else is folded."""

import numpy as np
import pytest

from tests.packed import VERSION
from tests.trying import T0, H, S, plan_of
from user_state.state.events import Events
from user_state.state.records import TOO_LARGE, PackedRecords

MOST = 65_535
COUNTED = plan_of(features={"n": {"aggregate": "count", "windows": ["1d"]}}, tiles={"1d": "1s"})
LISTED = plan_of(features={"n": {"aggregate": "first_k", "k": 10_000, "of": "amount", "windows": ["1h"]}})


def events_of(plan, **counts):
    """Return events of several users: of one plan each in a tile of its own, of the other twenty a second."""
    gap = S if plan is COUNTED else S // 20
    amounts = [1] * len(plan.fields)
    rows = [
        (user, n * 0x9E3779B97F4A7C15 % 2**64, T0 + n * gap, T0 + count * gap, *amounts)
        for user, count in counts.items()
        for n in range(count)
    ]
    return Events.from_rows(plan, rows)


def fold(plan, events, blobs=None):
    users = len(events.users)
    packed = PackedRecords(plan)
    return packed.fold(blobs or [None] * users, events, np.zeros(users, np.int64), [VERSION] * users)


@pytest.mark.parametrize("plan", [COUNTED, LISTED], ids=["tiles", "rows"])
def test_one_more_than_can_be_counted_sets_its_user_aside_and_nobody_else(plan):
    folded, broken = fold(plan, events_of(plan, before=3, full=MOST, bot=MOST + 1, after=2))
    assert broken == {2: TOO_LARGE}
    assert [record is None for record in folded] == [False, False, True, False]
    alone, none = fold(plan, events_of(plan, after=2))
    assert (folded[3], none) == (alone[0], {})


def test_a_user_who_was_set_aside_comes_back_when_old_tiles_have_left_the_window():
    (full,), _ = fold(COUNTED, events_of(COUNTED, u=MOST))
    second = Events.from_rows(COUNTED, [("u", 1, T0 + MOST * S, T0 + MOST * S)])
    assert fold(COUNTED, second, [full])[1] == {0: TOO_LARGE}
    later = Events.from_rows(COUNTED, [("u", 2, T0 + 25 * H, T0 + 25 * H)])
    (smaller,), broken = fold(COUNTED, later, [full])
    assert not broken
    assert len(smaller) < len(full)
