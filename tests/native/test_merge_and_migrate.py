"""Merging and migrating in the compiled code come to what `merge` and `adopt` come to in numpy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.batches import batches, rows_of
from tests.random_worlds import LISTS, QUICK, SEQUENCES, SESSIONS, WINDOWED, WINDOWS, plain_features
from tests.trying import VERSION, plan_of, same_record
from user_state._native import Folding
from user_state.codec.adopt import adopt
from user_state.codec.record import decode_records, encode_records, open_record
from user_state.core.events import Events
from user_state.core.plan import Plan
from user_state.core.records import Records, apply, merge

AMONG = tuple(name for name in WINDOWED if not name.startswith("approx"))


def records_of(plan: Plan, arrived: list) -> Records:
    """One user's record, its events folded in one batch."""
    rows = rows_of(plan, [({**made, "user_id": "u"}, at) for made, at in arrived])
    events = Events.from_rows(plan, rows)
    return apply(plan, Records.empty(plan, 1), events) if rows else Records.empty(plan, 1)


def blob_of(plan: Plan, records: Records) -> bytes:
    return encode_records(records, plan.layout, [VERSION])[0]


def unpacked(plan: Plan, blob: bytes) -> Records:
    return decode_records([open_record(blob)], plan.layout)


def merged(plan: Plan, a: bytes, b: bytes) -> bytes:
    [blob], wrong = Folding(plan).merge([a], [b], [VERSION])
    assert wrong == []
    return blob


def migrated(plan: Plan, old: Plan, blob: bytes) -> bytes:
    folding = Folding(plan)
    folding.add_layout(old.layout)
    [blob], wrong = folding.migrate([blob])
    assert wrong == []
    return blob


def same(plan: Plan, blob: bytes, expected: Records) -> None:
    same_record(plan, unpacked(plan, blob), unpacked(plan, blob_of(plan, expected)))


FEATURES = plain_features(AMONG)
SETTINGS = st.fixed_dictionaries(
    {
        "timezone": st.sampled_from(["UTC", "Europe/Berlin"]),
        "max_clock_skew": st.sampled_from(["1s", "1m", "10m"]),
        "allowed_lateness": st.sampled_from(["10m", "1h", "2d", "9d"]),
    }
)


@st.composite
def changed(draw: st.DrawFn, feature: dict[str, Any]) -> dict[str, Any]:
    """The feature under other windows, with another cap or other columns: some of its state is still the same."""
    made = dict(feature)
    if "windows" in made and draw(st.booleans()):
        made["windows"] = draw(st.lists(st.sampled_from(WINDOWS), min_size=1, max_size=4, unique=True))
    if set(made["aggregate"]) & set(LISTS) and draw(st.booleans()):
        made["k"] = draw(st.integers(1, 5))
        beside = sorted({"action", "item_id", "bought", "value", "event_time"} - {made["of"]})
        made["with"] = draw(st.lists(st.sampled_from(beside), min_size=1, max_size=3, unique=True))
    if "distinct" in made["aggregate"] and draw(st.booleans()):
        made["cap"] = draw(st.sampled_from([1, 2, 3, 65_535]))
    return made


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Plan, Plan]:
    """Two plans that have something in common."""
    pool = draw(st.lists(FEATURES, min_size=1, max_size=4))
    lists = draw(st.lists(SEQUENCES, max_size=2))
    old = {f"o{at}": feature for at, feature in enumerate(pool)}
    new = {f"n{at}": draw(changed(draw(st.sampled_from(pool)))) for at in range(draw(st.integers(1, 4)))}
    more = {f"m{at}": feature for at, feature in enumerate(draw(st.lists(FEATURES, max_size=2)))}
    sequences = {f"s{at}": made for at, made in enumerate(lists)}
    both = draw(SETTINGS)
    return (
        plan_of(features=old, sequences=sequences, **both),
        plan_of(features={**more, **new}, sequences=dict(reversed(sequences.items())), **{**both, **draw(SETTINGS)}),
    )


@pytest.mark.slow
@given(pairs(), batches(), st.data())
@settings(QUICK, max_examples=60)
def test_merging(plans: tuple[Plan, Plan], arrived: list, data: st.DataObject) -> None:
    plan, _ = plans
    events = [event for batch in arrived for event in batch]
    left = data.draw(st.lists(st.booleans(), min_size=len(events), max_size=len(events)))
    a, b = (records_of(plan, [e for e, is_left in zip(events, left) if is_left is side]) for side in (True, False))
    same(plan, merged(plan, blob_of(plan, a), blob_of(plan, b)), merge(plan, a, b))


@pytest.mark.slow
@given(pairs(), batches(), st.data())
@settings(QUICK, max_examples=100)
def test_migrating(plans: tuple[Plan, Plan], arrived: list, data: st.DataObject) -> None:
    old, new = plans
    events = [event for batch in arrived for event in batch]
    cut = data.draw(st.integers(0, len(events)))
    a, b = records_of(new, events[:cut]), records_of(old, events[cut:])
    # Joined with nothing, what was taken over obeys the plan: its windows, caps and clock.
    adopted = merge(new, adopt(new, b, old.layout), Records.empty(new, 1))
    blob = migrated(new, old, blob_of(old, b))
    same(new, blob, adopted)
    same(new, merged(new, blob_of(new, a), blob), merge(new, a, adopted))
    same(new, merged(new, blob, blob_of(new, a)), merge(new, adopted, a))
