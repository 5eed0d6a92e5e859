"""Records and remembered ids that Redis has lost one of: no event counts twice, and no later event is lost for it."""

import pytest

from tests.store.folding import (
    APPLIED,
    DUPLICATE,
    NOW,
    PLAN,
    TOO_LATE,
    Wrapped,
    counted,
    outcomes,
    rows,
    views,
)
from tests.trying import S, event
from user_state.fold import Folder
from user_state.state.envelope import heads_of
from user_state.store.keys import record_key, seen_key

HORIZON = 2
"""Of the longs of a record's head."""
LAST_US = NOW + 2 * S
"""The last of three views."""
RECORD, SEEN = record_key("tried", "u"), seen_key("tried", "u")


def fold(store, *events):
    """Fold with a folder that remembers nothing."""
    return Folder(PLAN, store).fold(rows(*events))


def test_ids_deleted_beside_a_record_close_it_up_to_its_last_event_and_count_nothing_twice(store, valkey):
    known = views()
    fold(store, *known, *views("v"))
    with valkey.client() as client:
        client.delete(SEEN)

    report = fold(store, *known, *views("v", begin=3, count=1))

    assert outcomes(report) == [TOO_LATE] * 3 + [APPLIED]
    assert (report.ids_lost, report.lost) == (1, 0)
    (held,) = store.read(["u"])
    assert (int(heads_of([held.record])[0].horizon_us[0]), held.lost) == (LAST_US + 1, False)
    later = event(LAST_US + 1, "u", value=1.0)
    report = fold(store, *known, event(LAST_US, "u"), later, later)
    assert outcomes(report) == [TOO_LATE] * 4 + [APPLIED, DUPLICATE]
    assert report.ids_lost == 0
    assert (counted(store), counted(store, "v")) == ((4, 4), (4, 4))


def test_the_first_later_event_closes_the_horizon_with_its_own_write(store, valkey):
    known = views()
    fold(store, *known)
    with valkey.client() as client:
        client.delete(SEEN)
    report = fold(store, known[2], event(LAST_US + S, "u", value=1.0))
    assert (outcomes(report), report.ids_lost, report.writes) == ([TOO_LATE, APPLIED], 1, 1)
    assert (outcomes(fold(store, *known)), counted(store)) == ([TOO_LATE] * 3, (4, 4))


def test_ids_deleted_behind_a_cache_that_remembers_them_are_written_again(store, valkey):
    known = views()
    folder = Folder(PLAN, store)
    folder.fold(rows(*known))
    with valkey.client() as client:
        client.delete(SEEN)
    report = folder.fold(rows(*known, event(LAST_US + S, "u", value=1.0)))
    assert (outcomes(report), report.ids_lost) == ([DUPLICATE] * 3 + [APPLIED], 0)
    assert (outcomes(fold(store, *known)), counted(store)) == ([DUPLICATE] * 3, (4, 4))


def test_a_record_deleted_beside_its_ids_starts_over(store, valkey):
    known = views()
    fold(store, *known)
    with valkey.client() as client:
        client.delete(RECORD)
    report = fold(store, *known, *known)
    assert outcomes(report) == [APPLIED] * 3 + [DUPLICATE] * 3
    assert (report.lost, report.ids_lost, counted(store)) == (1, 0, (3, 3))
    report = fold(store, *known)
    assert (outcomes(report), report.lost) == ([DUPLICATE] * 3, 0)


@pytest.mark.parametrize("older", [SEEN, RECORD])
def test_one_of_the_two_from_an_older_copy_is_as_if_the_ids_were_lost(store, valkey, older):
    first, second = views(count=2), views(begin=2, count=2)
    fold(store, *first)
    with valkey.client() as client:
        copy = client.get(older)
        fold(store, *second)
        client.set(older, copy)

    report = fold(store, *first, *second)

    # What an older record does not hold is folded anew; what it may hold is not.
    again = [TOO_LATE] * 2 if older == SEEN else [APPLIED] * 2
    assert outcomes(report) == [TOO_LATE] * 2 + again
    assert (report.ids_lost, report.lost, counted(store)) == (1, 0, (4, 4))
    report = fold(store, *first, *second)
    assert (report.ids_lost, counted(store)) == (0, (4, 4))


def test_a_record_that_someone_changed_between_reading_it_and_its_ids_is_no_loss(store):
    """Others' writes come between the two reads: the version tells, the write is refused, and both are read again."""
    known = views(count=2)
    fold(store, *known)
    (before,) = store.read(["u"])
    other = Folder(PLAN, store.store)

    class Between(Wrapped):
        def read(self, users):
            if self.replaced:
                return self.store.read(users)
            self.replaced.append([])
            other.fold(rows(*views(begin=2, count=1)))
            return [before._replace(seen=None, lost=True)]  # an older record, and ids of another version

    report = Folder(PLAN, Between(store.store)).fold(rows(*known, *views(begin=3, count=1)))
    assert outcomes(report) == [DUPLICATE] * 2 + [APPLIED]
    assert (report.ids_lost, report.conflicts, counted(store)) == (0, 1, (4, 4))
