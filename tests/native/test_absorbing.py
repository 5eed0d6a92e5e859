"""Records joined, and taken over into another layout, by the compiled code and in numpy: decays, embeddings, profiles,
distinct counts and quantiles.

Events are split between two records at random, with the batches that they come in; pairs of specs share some
definitions, in other places and over other windows.
"""

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.native.both import unpacked
from tests.trying import T0, VERSION, D, H, M, S, event, plan_of, row, same_record
from user_state import _native
from user_state.codec.adopt import adopt
from user_state.codec.record import decode_records, open_record
from user_state.core.events import EventRow, Events
from user_state.core.plan import Plan
from user_state.core.records import Records, merge

SKETCHES = {"error": 0.1}
FEATURES: dict[str, dict[str, Any]] = {
    "sums": {"aggregate": ["decayed_count", "decayed_sum"], "of": "value", "half_life": ["1h", "2h"]},
    "likes": {"aggregate": "decayed_count", "half_life": "1m", "where": {"action": "like"}},
    "hours": {"aggregate": ["hour_of_day", "day_of_week"], "half_life": ["1h", "7d"]},
    "days": {"aggregate": "day_of_week", "half_life": "1h", "where": {"action": "like"}},
    "items": {"aggregate": "approx_distinct", "of": "item_id", **SKETCHES},
    "liked": {"aggregate": "approx_distinct", "of": "item_id", "where": {"action": "like"}, "error": 0.05},
    "values": {"aggregate": "approx_quantiles", "of": "value", "quantiles": [0.5], **SKETCHES},
    "amounts": {"aggregate": "approx_quantiles", "of": "amount", "quantiles": [0, 1], **SKETCHES},
}
WINDOWS = (["1h", "1d"], ["10m", "lifetime"], ["3d"], ["lifetime"])
EMBEDDINGS: dict[str, dict[str, Any]] = {
    "taste": {"kind": "decayed_mean", "of": "item_id", "dimensions": 12, "half_life": ["1h", "7d"]},
    "weighed": {"kind": "decayed_sum", "of": "item_id", "dimensions": 70, "half_life": "1h", "weights": {"like": -0.5}},
}


def any_spec(rng: random.Random, timezone: str = "Europe/Berlin") -> dict[str, Any]:
    """Return some of all features and embeddings, in any order, sketches over any windows."""

    def some(made: dict[str, dict[str, Any]], least: int) -> list[str]:
        return rng.sample(sorted(made), rng.randint(least, len(made)))

    features = {name: dict(FEATURES[name]) for name in some(FEATURES, 1)}
    for feature in features.values():
        if "half_life" not in feature:
            feature["windows"] = rng.choice(WINDOWS)
    embeddings = {name: EMBEDDINGS[name] for name in some(EMBEDDINGS, 0)}
    return {"features": features, **({"embeddings": embeddings} if embeddings else {}), "timezone": timezone}


def rows(rng: random.Random, plan: Plan, clock_us: int, count: int, single: bool) -> list[EventRow]:
    """Return one user's events at and before a clock."""
    made = []
    for _ in range(count):
        fields = {
            "item_id": rng.choice([None, f"i{rng.randrange(3000)}"]),
            "value": rng.choice([None, float(rng.randrange(500)) if single else rng.gauss(0, 1)]),
            "amount": rng.choice([None, rng.randrange(300)]),
            "action": rng.choice(["view", "like"]),
        }
        back_us = rng.choice([0, 1, rng.randrange(3600)]) * S
        made.append(row(plan, event(clock_us - back_us, "u", **fields), clock_us))
    return made


def folded(plan: Plan, batches: Sequence[list[EventRow]]) -> bytes | None:
    """Return the record of batches, None without any."""
    blob: bytes | None = None
    for batch in batches:
        made, wrong = _native.Folding(plan).fold(
            [blob], Events.from_rows(plan, batch), np.zeros(1, np.int64), [VERSION]
        )
        assert wrong == []
        blob = made[0]
    return blob


def any_batches(rng: random.Random, plan: Plan) -> list[list[EventRow]]:
    """Return up to ten batches, as time passes: few events, or enough to fill a tile."""
    clock_us, single, made = T0, rng.random() < 0.5, []
    for _ in range(rng.randint(1, 10)):
        clock_us += rng.choice([0, S, 10 * M, H, 9 * H, 2 * D])
        made.append(rows(rng, plan, clock_us, rng.choice([1, 3, 40, 150]), single))
    return made


def joined(plan: Plan, a: bytes | None, b: bytes | None) -> bytes:
    made, wrong = _native.Folding(plan).merge([a], [b], [VERSION])
    assert wrong == []
    return bytes(made[0])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_records_of_split_events_are_joined_as_in_numpy(seed: int) -> None:
    rng = random.Random(seed)
    plan = plan_of(**any_spec(rng))
    halves: tuple[list[list[EventRow]], list[list[EventRow]]] = ([], [])
    for batch in any_batches(rng, plan):
        whose = [rng.randrange(2) for _ in batch]
        for half in (0, 1):
            mine = [made for made, of in zip(batch, whose, strict=True) if of == half]
            if mine:
                halves[half].append(mine)
    a, b = (folded(plan, half) for half in halves)
    both = joined(plan, a, b)
    expected = merge(plan, unpacked(plan, [a]), unpacked(plan, [b]))
    same_record(plan, unpacked(plan, [both]), expected)
    # The other way round it is the same, but for the last bits of sums.
    same_record(plan, unpacked(plan, [joined(plan, b, a)]), expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(40))
def test_records_of_another_layout_are_taken_over_as_in_numpy(seed: int) -> None:
    """As of the record's clock: the tiles of the new windows are those that the next event would have made."""
    rng = random.Random(1000 + seed)
    old, new = plan_of(**any_spec(rng)), plan_of(**any_spec(rng))
    if old.layout.fingerprint == new.layout.fingerprint:
        pytest.skip("the same layout twice")
    blob = folded(old, any_batches(rng, old))
    assert blob is not None
    folding = _native.Folding(new)
    folding.add_layout(old.layout)
    [made], wrong = folding.migrate([blob])
    assert wrong == []
    taken_over = adopt(new, decode_records([open_record(blob)], old.layout), old.layout)
    expected = merge(new, taken_over, Records.empty(new, 1))
    same_record(new, unpacked(new, [made]), expected)
    # And they go on like any others.
    more = Events.from_rows(new, rows(rng, new, T0 + 30 * D, 20, False))
    [after], wrong = folding.fold([blob], more, np.zeros(1, np.int64), [VERSION])
    assert wrong == []
    [again], wrong = folding.fold([made], more, np.zeros(1, np.int64), [VERSION])
    assert wrong == []
    assert after == again


def test_sums_joined_are_those_of_the_later_time() -> None:
    """By hand: one event two hours before the other, at a half-life of an hour."""
    plan = plan_of(features={"f": {"aggregate": ["decayed_count", "hour_of_day"], "half_life": "1h"}})
    early, late = ([row(plan, event(T0 + hours * H, "u"))] for hours in (1, 3))
    for a, b in ((early, late), (late, early)):
        held = unpacked(plan, [joined(plan, folded(plan, [a]), folded(plan, [b]))])
        assert (held.decays[0].time_us.tolist(), held.decays[0].sums.tolist()) == ([T0 + 3 * H], [[1.25]])
        assert held.profiles[0].sums[0, 0, [1, 3]].tolist() == [0.25, 1.0]


def test_a_sketch_and_a_tile_of_numbers_are_joined_to_a_sketch() -> None:
    plan = plan_of(features={"f": {**FEATURES["values"], "windows": ["lifetime"]}})
    full = [row(plan, event(T0, "u", value=float(number))) for number in range(40)]
    few = [row(plan, event(T0, "u", value=-1.0)), row(plan, event(T0, "u", value=99.0))]
    held = unpacked(plan, [joined(plan, folded(plan, [few]), folded(plan, [full]))]).klls
    [sketch] = held.sketches
    assert (sketch.seen, sketch.least, sketch.greatest, len(held.value)) == (42, -1.0, 99.0, 0)


def test_sketches_joined_in_either_order_are_the_same_bytes() -> None:
    """Nothing depends on which of two records comes first, but the order of strings, and there are none."""
    plan = plan_of(features={"f": {**FEATURES["values"], "windows": ["1h", "lifetime"]}})
    rng = random.Random(5)
    a, b = (folded(plan, [rows(rng, plan, T0 + at * H, 200, False)]) for at in (0, 1))
    assert joined(plan, a, b) == joined(plan, b, a)
