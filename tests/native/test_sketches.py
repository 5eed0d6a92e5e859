"""Tiles of coupons, registers, numbers and KLL sketches: as numpy has them, and damaged ones refused as numpy refuses.

Errors are the largest there are, so that a few hundred events fill tiles; lifetimes, days and minutes have them
rolled up.
"""

import random

import pytest

from tests.native.both import Both, unpacked
from tests.native.damage import refusals
from tests.trying import T0, H, M, S, event, plan_of, row
from user_state.core.events import EventRow
from user_state.core.kll import capacity
from user_state.core.plan import Plan

FIELDS = ("item_id", "value", "amount", "bought")
WINDOWS = {"seldom": ["1h", "1d", "lifetime"], "often": ["10m"], "ever": ["lifetime"]}
NUMBERS = (None, 0.0, -0.0, 1.0, 0.1, -2.5, 1e300, 5e-324, 2.0**-149, 3.5e38)


def plan(error: float) -> Plan:
    """Sketches of every kind of field on three time axes."""
    features = {
        f"{name}_{of}": {
            "aggregate": ["approx_distinct", "approx_quantiles"] if of in ("value", "amount") else "approx_distinct",
            "of": of,
            "windows": windows,
            "error": error,
            **({"quantiles": [0, 0.5, 1]} if of in ("value", "amount") else {}),
            **({"where": {"action": "view"}} if name == "often" else {}),
        }
        for name, windows in WINDOWS.items()
        for of in FIELDS
    }
    return plan_of(features=features)


def text(rng: random.Random) -> str | None:
    """Return null, or a string of any number of bytes a hash takes at a time."""
    return rng.choice([None, "", "\0", "é", "x" * rng.randrange(40), str(rng.randrange(10**6))])


def rows(rng: random.Random, of: Plan, clock_us: int, count: int, single: bool) -> list[EventRow]:
    """Return events of three users at and before a clock, some of them tied."""
    made = []
    for _ in range(count):
        value = float(rng.randrange(500)) if single else rng.choice([*NUMBERS, rng.gauss(0, 1)])
        fields = {
            "item_id": text(rng),
            "value": value,
            "amount": rng.choice([None, 0, -1, 2**63 - 1, rng.randrange(300), -(2**62)]),
            "bought": rng.choice([None, True, False]),
            "action": rng.choice(["view", "like"]),
        }
        back_us = rng.choice([0, 0, 1, rng.randrange(3600)]) * S
        made.append(row(of, event(clock_us - back_us, rng.choice("uuuuvw"), **fields), clock_us))
    return made


@pytest.mark.slow
@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize(("error", "batches"), [(0.1, 12), (0.05, 5)])
def test_batches_of_any_size(error: float, batches: int, single: bool) -> None:
    rng = random.Random(batches + single)
    both, clock_us = Both(plan(error)), T0
    for _ in range(batches):
        clock_us += rng.choice([0, S, 10 * M, H, 9 * H])
        both.fold(rows(rng, both.plan, clock_us, rng.choice([1, 1, 2, 60, 250]), single))
    both.fold(rows(rng, both.plan, clock_us, 300, single))
    assert min(dense_tiles(both, "u")) > 0


def dense_tiles(both: Both, user: str) -> tuple[int, int]:
    """Return how many tiles of a user hold registers, and how many KLL sketches."""
    held = unpacked(both.plan, [both.stored[user]])
    return len(held.hlls.dense_key), len(held.klls.dense_key)


def test_bytes_of_distinct_counts_are_the_same() -> None:
    """Nothing about them is drawn by lot: coupons, and registers from the 17th on."""
    rng, clock_us = random.Random(2), T0
    windows = {"aggregate": "approx_distinct", "windows": ["1h", "lifetime"], "error": 0.1}
    both = Both(plan_of(features={f"of_{of}": {**windows, "of": of} for of in FIELDS}))
    for _ in range(20):
        clock_us += rng.choice([0, M, H])
        assert both.fold(rows(rng, both.plan, clock_us, rng.choice([1, 3, 40]), False))
    assert dense_tiles(both, "u")[0] > 2


@pytest.mark.slow
@pytest.mark.parametrize("single", [True, False])
def test_numbers_that_a_kll_sketch_has_room_for_make_the_same_bytes(single: bool) -> None:
    """Nothing is drawn by lot then: numpy's way has the library take them in, which is what C++ has to come to."""
    rng, roomy = random.Random(single), 0
    quantiles = {"aggregate": "approx_quantiles", "of": "value", "windows": ["lifetime"], "quantiles": [0.5]}
    both = Both(plan_of(features={"value": {**quantiles, "error": 0.1}}))
    k = both.plan.klls[0].k
    both.fold(rows(rng, both.plan, T0, 200, single))
    for minute in range(100):
        held = unpacked(both.plan, [both.stored["u"]]).klls.dense[0]
        new = [
            row(both.plan, event(T0 + minute * M, "u", value=float(rng.randrange(500)) if single else rng.gauss(0, 1)))
            for _ in range(rng.choice([1, 1, 3]))
        ]
        same = both.fold(new)
        if sum(held.sizes) + len(new) <= capacity(k, len(held.sizes)):
            assert same
            roomy += 1
        after = unpacked(both.plan, [both.stored["u"]]).klls.dense[0]
        assert after.seen == held.seen + len(new)
    assert 50 < roomy < 100


@pytest.mark.slow
@pytest.mark.parametrize("single", [True, False])
@pytest.mark.parametrize("section", ["hlls", "klls"])
def test_damage(section: str, single: bool) -> None:
    """Of three users' records, one has so much that every kind of tile is full."""
    rng = random.Random(11)
    both = Both(plan(0.1))
    both.fold(rows(rng, both.plan, T0, 250, single))
    both.fold(rows(rng, both.plan, T0 + 3 * H, 12, single))
    new = [row(both.plan, event(T0 + 4 * H, item_id="new", value=1.5, amount=3))]
    assert 150 < refusals(both, section, new, tries=500) < 495
