"""Every aggregation moves with its definition when the spec changes: kept under another name, empty if new, or gone."""

from __future__ import annotations

import numpy as np
import pytest

from tests.families.test_every_aggregation import feature_of
from tests.packed import Records, apply, features
from tests.state.test_migrate import read_by
from tests.trying import T0, M, batch, event, plan_of, record_of
from user_state.plan.plan import Plan
from user_state.plan.spec_change import spec_change
from user_state.spec.aggregations import AGGREGATIONS

COUNT = {"aggregate": "count", "windows": ["1h", "7d"]}
LIKES = {"where": {"action": "like"}}
EVENTS = [event(T0 + n * M, item_id=f"i{n % 3}", value=n / 4, amount=n, bought=n % 2 == 0) for n in range(9)]
AT_US = T0 + 9 * M


def read(plan: Plan, records: Records) -> dict[str, object]:
    """Return what is read of one user by the name of the output without its feature's."""
    found = features(plan, records, AT_US)
    scalars = dict(zip([output.name for output in plan.scalars], found.values[0].tolist(), strict=True))
    arrays = {name: numbers[0].tolist() for name, numbers in found.arrays.items()}
    lists = {name: padded.of_user(0) for name, padded in found.sequences.items()}
    return {**scalars, **arrays, **lists}


def of(name: str, values: dict[str, object]) -> dict[str, object]:
    return {key.removeprefix(name): value for key, value in values.items() if key.startswith(f"{name}_")}


@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_it_is_kept_under_another_name_among_others_and_goes_on(aggregate: str) -> None:
    feature = feature_of(aggregate)
    old = plan_of(features={"gone": {**feature, **LIKES}, "old": feature, "all": COUNT})
    new = plan_of(
        features={
            "all": COUNT,
            "first": {**COUNT, **LIKES},
            "fresh": {**feature, "where": {"action": "skip"}},
            "kept": feature,
        }
    )
    change = spec_change(new, old.layout)
    assert {"all", "kept"} <= set(change.keeps)
    assert "fresh" in change.starts
    records = read_by(new, old, EVENTS)
    before = of("old", read(old, record_of(old, EVENTS)))
    assert before
    np.testing.assert_equal(of("kept", read(new, records)), before)

    more = [event(T0 + 9 * M, item_id="i1", value=1.0, amount=4), event(T0 - M, item_id="i9", value=9.0)]
    later = apply(new, records, batch(new, more))
    expected = apply(old, record_of(old, EVENTS), batch(old, more))
    np.testing.assert_equal(of("kept", read(new, later)), of("old", read(old, expected)))


@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_it_starts_empty_if_it_is_new_and_leaves_nothing_behind_if_it_is_gone(aggregate: str) -> None:
    without, with_it = plan_of(features={"all": COUNT}), plan_of(features={"f": feature_of(aggregate), "all": COUNT})
    assert spec_change(with_it, without.layout).starts == ("f",)
    started = read_by(with_it, without, EVENTS)
    np.testing.assert_equal(of("f", read(with_it, started)), of("f", read(with_it, Records.empty(with_it, 1))))
    assert of("all", read(with_it, started)) == of("all", read(without, record_of(without, EVENTS)))

    change = spec_change(without, with_it.layout)
    assert change.keeps == ("all",)
    assert change.drops
    dropped = read_by(without, with_it, EVENTS)
    np.testing.assert_equal(read(without, dropped), read(without, record_of(without, EVENTS)))
