"""What is wrong with a record is said of that record; records of other layouts are migrated wherever they come up.

That merged and migrated records say the right things is held to brute force in tests/families/test_against_oracle.py
and tests/upgrades.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from tests.packed import VERSION, Records
from tests.trying import T0, M, S, event, plan_of, spec_of, value_of
from user_state.events.decode import EventDecoder
from user_state.plan.layout import Layout
from user_state.plan.plan import Plan
from user_state.state.envelope import LAYOUT, heads_of
from user_state.state.events import EventRow, Events
from user_state.state.records import PackedRecords


class Registered:
    """Layouts by fingerprint, and how often they were asked for."""

    def __init__(self, *layouts: Layout) -> None:
        self.layouts = {layout.fingerprint: layout for layout in layouts}
        self.asked = 0

    def layout(self, fingerprint: bytes) -> Layout | None:
        self.asked += 1
        return self.layouts.get(fingerprint)


def folded(plan: Plan, rows: list[EventRow]) -> dict[str, bytes]:
    """Return the records of the users of some rows."""
    events = Events.from_rows(plan, rows)
    users = len(events.users)
    made, wrong = PackedRecords(plan).fold([None] * users, events, np.zeros(users, np.int64), [VERSION] * users)
    assert wrong == {}
    return {user: blob for user, blob in zip(events.users, made, strict=True) if blob is not None}


OLD = plan_of(features={"seen": {"aggregate": ["count", "sum"], "of": "amount", "windows": ["1h"]}})
NEW = plan_of(
    features={
        "again": {"aggregate": ["count", "sum"], "of": "amount", "windows": ["1h"]},
        "keyed": {"aggregate": ["count_by"], "by": "item_id", "windows": ["1h"]},
    }
)
GONE = plan_of(features={"likes": {"aggregate": "count", "where": {"action": "like"}, "windows": ["1d"]}})


def one(plan: Plan, *amounts: int, user: str = "u", item: str | None = "i") -> bytes:
    """Return the record of one user's events, a second apart."""
    rows = batch_rows(plan, *amounts, user=user, item=item)
    return folded(plan, rows)[user]


def batch_rows(plan: Plan, *amounts: int, user: str = "u", item: str | None = "i") -> list[EventRow]:
    decoder = EventDecoder(plan, spec_of().schema)
    return [decoder.row(event(T0 + n * S, user, item_id=item, amount=amount), None) for n, amount in enumerate(amounts)]


def test_a_record_of_another_layout_is_migrated_wherever_it_comes_up_and_its_layout_asked_for_once():
    registered = Registered(OLD.layout)
    packed = PackedRecords(NEW, registered)
    old, new = one(OLD, 1, 2), one(NEW, 3)
    events = Events.from_rows(NEW, batch_rows(NEW, 10, user="u") + batch_rows(NEW, 10, user="v"))
    made, wrong = packed.fold([old, new], events, np.zeros(2, np.int64), [VERSION] * 2)
    assert (wrong, registered.asked) == ({}, 1)
    assert [(blob or b"")[LAYOUT] for blob in made] == [NEW.layout.fingerprint] * 2
    records = Records(NEW, made)
    assert records.heads.applied.tolist() == [3, 2]
    assert value_of(NEW, records, "again_sum_1h", T0 + M) == 13
    merged, wrong = packed.merge([old, None, old, None], [new, old, old, None], [VERSION] * 4)
    assert (wrong, merged[3], registered.asked) == ({}, None, 1)
    records = Records(NEW, merged[:3])
    assert [value_of(NEW, records, "again_sum_1h", T0 + M, user) for user in range(3)] == [6, 3, 6]


def test_a_layout_that_nobody_registered_is_an_error_of_its_record_alone():
    packed = PackedRecords(NEW, Registered(OLD.layout))
    blobs = [one(GONE, 1), None, one(OLD, 4), one(NEW, 5), one(GONE, 7)]
    made, wrong = packed.migrate(blobs)
    assert [blob is None for blob in made] == [True, True, False, False, True]
    name = GONE.layout.fingerprint.hex()
    assert wrong == dict.fromkeys((0, 4), f"expected a record of a registered layout, got layout {name}")
    assert made[3] == blobs[3]


def test_what_is_registered_under_another_name_is_an_error_of_its_record_alone():
    class Confused(Registered):
        def layout(self, fingerprint: bytes) -> Layout | None:
            return OLD.layout

    made, wrong = PackedRecords(NEW, Confused()).migrate([one(GONE, 1), one(OLD, 1)])
    assert made[0] is None
    assert "under its name" in wrong[0]
    assert made[1] is not None


def test_damaged_records_cost_nobody_else_theirs_and_are_told_from_each_other():
    packed = PackedRecords(NEW)
    sound = one(NEW, 1)
    cut, longer, foreign = sound[:-1], sound + b"x", b"nonsense"
    events = Events.from_rows(NEW, [row for user in "abcd" for row in batch_rows(NEW, 2, user=user)])
    made, wrong = packed.fold([cut, sound, longer, foreign], events, np.zeros(4, np.int64), [VERSION] * 4)
    assert [blob is None for blob in made] == [True, False, True, True]
    assert "checksum does not match" in wrong[0]
    assert "checksum does not match" in wrong[2]
    assert "expected a record beginning with c301" in wrong[3]
    assert packed.merge([cut, sound], [sound, sound], [VERSION] * 2)[1].keys() == {0}
    assert packed.merge([sound, sound], [sound, cut], [VERSION] * 2)[1].keys() == {1}
    heads, wrong = heads_of([cut, sound, None])
    assert wrong.keys() == {0}
    assert heads.applied.tolist() == [0, 1, 0]


def test_merging_more_than_a_record_can_count_is_said_of_that_record():
    tiled = plan_of(features={"f": {"aggregate": "count", "windows": ["1d"]}}, tiles={"1d": "1s"})
    rows = [("u", n, T0 + n * S, T0 + 65_536 * S) for n in range(80_000)]
    parts = [folded(tiled, rows[:40_000])["u"], folded(tiled, rows[40_000:80_000])["u"]]
    made, wrong = PackedRecords(tiled).merge([parts[0]], [parts[1]], [VERSION])
    assert (made, wrong) == ([None], {0: "the record would hold more than its bytes can count"})


def test_threads_may_fold_with_one_object_at_once():
    packed, old = PackedRecords(NEW, Registered(OLD.layout)), one(OLD, 1, 2)
    events = Events.from_rows(NEW, [row for user in range(50) for row in batch_rows(NEW, 2, user=f"u{user}")])
    horizons = np.zeros(50, np.int64)
    expected = packed.fold([old] * 50, events, horizons, [VERSION] * 50)
    with ThreadPoolExecutor(4) as threads:
        found = [threads.submit(packed.fold, [old] * 50, events, horizons, [VERSION] * 50) for _ in range(40)]
        assert [one.result() for one in found] == [expected] * 40
