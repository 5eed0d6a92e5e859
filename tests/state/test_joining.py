"""Records of split events, joined, hold what one record of all of them holds; so do records that changed their layout.

Decays, embeddings, profiles, distinct counts and quantiles. Events are split between two records at random, batch by
batch; pairs of specs share some definitions, in other places and over other windows.
"""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.packed import Records, apply, features, merge, migrated
from tests.trying import T0, D, H, M, S, event, fold_all, plan_of, row, same_record
from user_state.plan.plan import Plan
from user_state.state.events import Events

ENDS = {"aggregate": "approx_quantiles", "quantiles": [0, 1], "error": 0.1}
"""What is exact of a sketch; tests/state/test_kll_union.py holds what lies between to its error."""
FEATURES: dict[str, dict[str, Any]] = {
    "sums": {"aggregate": ["decayed_count", "decayed_sum"], "of": "amount", "half_life": ["1h", "2h"]},
    "likes": {"aggregate": "decayed_count", "half_life": "1m", "where": {"action": "like"}},
    "hours": {"aggregate": ["hour_of_day", "day_of_week"], "half_life": ["1h", "7d"]},
    "days": {"aggregate": "day_of_week", "half_life": "1h", "where": {"action": "like"}},
    "items": {"aggregate": "approx_distinct", "of": "item_id", "error": 0.1},
    "liked": {"aggregate": "approx_distinct", "of": "item_id", "where": {"action": "like"}, "error": 0.05},
    "values": {**ENDS, "of": "value"},
    "amounts": {**ENDS, "of": "amount"},
}
Arrived = tuple[dict[str, Any], int]
"""An event, and when it was published."""
WINDOWS = (["1h", "1d"], ["10m", "lifetime"], ["3d"], ["lifetime"])
EMBEDDINGS: dict[str, dict[str, Any]] = {
    "taste": {"kind": "decayed_mean", "of": "item_id", "dimensions": 12, "half_life": ["1h", "7d"]},
    "weighed": {"kind": "decayed_sum", "of": "item_id", "dimensions": 70, "half_life": "1h", "weights": {"like": -0.5}},
}


def any_spec(rng: random.Random) -> dict[str, Any]:
    """Return some of all features and embeddings, in any order, sketches over any windows."""

    def some(made: dict[str, dict[str, Any]], least: int) -> list[str]:
        return rng.sample(sorted(made), rng.randint(least, len(made)))

    chosen = {name: dict(FEATURES[name]) for name in some(FEATURES, 1)}
    for feature in chosen.values():
        if "half_life" not in feature:
            feature["windows"] = rng.choice(WINDOWS)
    embeddings = {name: EMBEDDINGS[name] for name in some(EMBEDDINGS, 0)}
    return {"features": chosen, **({"embeddings": embeddings} if embeddings else {}), "timezone": "Europe/Berlin"}


def any_batches(rng: random.Random) -> list[list[Arrived]]:
    """Return up to ten batches of one user, as time passes: few events, or enough to fill a tile."""
    clock_us, single, made = T0, rng.random() < 0.5, []
    for _ in range(rng.randint(1, 10)):
        clock_us += rng.choice([0, S, 10 * M, H, 9 * H, 2 * D])
        made.append([any_event(rng, clock_us, single) for _ in range(rng.choice([1, 3, 40, 150]))])
    return made


def any_event(rng: random.Random, clock_us: int, single: bool) -> Arrived:
    fields = {
        "item_id": rng.choice([None, f"i{rng.randrange(3000)}"]),
        "value": rng.choice([None, float(rng.randrange(500)) if single else rng.gauss(0, 1)]),
        "amount": rng.choice([None, rng.randrange(300)]),
        "action": rng.choice(["view", "like"]),
    }
    back_us = rng.choice([0, 1, rng.randrange(3600)]) * S
    return event(clock_us - back_us, "u", **fields), clock_us


def as_events(plan: Plan, batch: Sequence[Arrived]) -> Events:
    return Events.from_rows(plan, [row(plan, made, published_us) for made, published_us in batch])


def folded(plan: Plan, batches: Sequence[list[Arrived]]) -> Records:
    """Return the record of batches."""
    records = Records.empty(plan, 1)
    for batch in batches:
        records = apply(plan, records, as_events(plan, batch))
    return records


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_two_records_of_split_events_are_joined_to_the_record_of_all(seed: int) -> None:
    rng = random.Random(seed)
    plan = plan_of(**any_spec(rng))
    batches = any_batches(rng)
    halves: tuple[list[list[Arrived]], list[list[Arrived]]] = ([], [])
    for batch in batches:
        whose = [rng.randrange(2) for _ in batch]
        for half in (0, 1):
            mine = [made for made, of in zip(batch, whose, strict=True) if of == half]
            if mine:
                halves[half].append(mine)
    expected, (a, b) = folded(plan, batches), (folded(plan, half) for half in halves)
    same_record(plan, merge(plan, a, b), expected)
    same_record(plan, merge(plan, b, a), expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_a_record_of_another_layout_holds_what_both_define_and_nothing_else(seed: int) -> None:
    """Outputs of both specs are those of a record that was the new spec's from the first event on."""
    rng = random.Random(1000 + seed)
    specs = any_spec(rng), any_spec(rng)
    old, new = (plan_of(**spec) for spec in specs)
    batches = any_batches(rng)
    before = folded(old, batches)
    after, always, nothing = migrated(new, old, before), folded(new, batches), Records.empty(new, 1)
    for record in (after, always):
        assert record.heads.clock_us == before.heads.clock_us
    names_before, kept_features = set(features(old, before, T0 + 30 * D).names), set(specs[0]["features"])
    for at_us in (int(before.heads.clock_us[0]), T0 + 30 * D):
        found, right, empty = (features(new, record, at_us) for record in (after, always, nothing))
        for at, name in enumerate(found.names):
            if name in names_before:
                np.testing.assert_allclose(found.values[0, at], right.values[0, at], rtol=1e-6, err_msg=name)
            elif not any(name.startswith(f"{feature}_") for feature in kept_features):
                np.testing.assert_array_equal(found.values[0, at], empty.values[0, at], name)
        arrays_before = features(old, before, at_us).arrays
        for name, array in found.arrays.items():
            if name in arrays_before:
                np.testing.assert_allclose(array, right.arrays[name], rtol=1e-6, err_msg=name)
            elif not any(name.startswith(f"{feature}_") for feature in kept_features):
                np.testing.assert_array_equal(array, empty.arrays[name], name)
        for name, vector in found.embeddings.items():
            kept = any(name.startswith(embedding) for embedding in specs[0].get("embeddings", {}))
            expected = (right if kept else empty).embeddings[name]
            np.testing.assert_allclose(vector, expected, rtol=0, atol=1e-5 * max(1, abs(expected).max()))
    # And it goes on like any other.
    more = as_events(new, [any_event(rng, T0 + 31 * D, False) for _ in range(20)])
    assert apply(new, after, more).heads.applied[0] == before.heads.applied[0] + 20


def test_sums_joined_are_those_of_the_later_time() -> None:
    """By hand: one event two hours before the other, at a half-life of an hour."""
    plan = plan_of(features={"f": {"aggregate": ["decayed_count", "hour_of_day"], "half_life": "1h"}})
    early, late = (fold_all(plan, [[event(T0 + hours * H)]]) for hours in (1, 3))
    for a, b in ((early, late), (late, early)):
        found = features(plan, merge(plan, a, b), T0 + 3 * H)
        assert found.values.tolist() == [[1.25]]
        [hours_of_day] = found.arrays.values()
        assert hours_of_day[0, [1, 3]].tolist() == pytest.approx([0.2, 0.8])


def test_a_sketch_and_a_tile_of_numbers_are_joined_to_a_sketch() -> None:
    plan = plan_of(features={"f": {**ENDS, "of": "value", "windows": ["lifetime"]}})
    full, few = (fold_all(plan, [[event(T0, value=float(n)) for n in numbers]]) for numbers in (range(40), (-1, 99)))
    joined = merge(plan, few, full)
    [ends] = features(plan, joined, T0).arrays.values()
    assert ends.tolist() == [[-1.0, 99.0]]
    assert joined.size < full.size + few.size


def test_sketches_joined_in_either_order_are_the_same_bytes() -> None:
    """Nothing depends on which of two records comes first, but the order of strings, and there are none."""
    plan = plan_of(features={"f": {**ENDS, "of": "value", "windows": ["1h", "lifetime"]}})
    rng = random.Random(5)
    a, b = (fold_all(plan, [[event(T0 + at * H + n * S, value=rng.gauss(0, 1)) for n in range(200)]]) for at in (0, 1))
    assert merge(plan, a, b).blobs == merge(plan, b, a).blobs
