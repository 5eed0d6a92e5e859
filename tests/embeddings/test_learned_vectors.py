"""The vectors of items that are spread over parts equal those of all their pairs together, by plain loops."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import xxhash

from tests.learned_pairs import spec_text
from tests.packed import from_events, packed
from user_state.embeddings.hashed_vectors import hashed_vectors
from user_state.embeddings.learned_vectors import learned_vectors
from user_state.plan.compile import compile_plan
from user_state.plan.compile.learned import item_plan
from user_state.plan.plan import Plan
from user_state.spec import parse_spec
from user_state.state.events import Events
from user_state.state.histories import SumsReader

SPEC = spec_text("{dimensions: 16, learned: {of: item_id, forget: 1h}}")
START_US, HOUR_US = 10**15, 3_600_000_000
ITEMS, PARTS = 4, 5
Pair = tuple[int, int, int, str, float]


@pytest.fixture
def of_items() -> Plan:
    plan = compile_plan(parse_spec(SPEC, beside=Path()))
    return item_plan(plan, plan.learned[0])


def pairs_by_chance(seed: int) -> list[Pair]:
    """Return (item, part, time, partner, weight); the last item has none."""
    rng = random.Random(seed)
    return [
        (rng.randrange(ITEMS - 1), rng.randrange(PARTS), START_US + rng.randrange(6 * HOUR_US), partner, rng.random())
        for partner in rng.choices("abcdef", k=40)
    ]


@pytest.mark.parametrize("seed", range(5))
def test_parts_are_brought_to_one_time_and_added(of_items: Plan, seed: int) -> None:
    pairs = pairs_by_chance(seed)
    rows = [
        (f"{item} {part}", xxhash.xxh64_intdigest(str(n).encode()), time_us, time_us, partner, weight)
        for n, (item, part, time_us, partner, weight) in enumerate(pairs)
    ]
    events = Events.from_rows(of_items, rows)
    sums, _ = SumsReader(of_items, packed(of_items)).read(from_events(of_items, events).blobs)
    item = np.array([int(user.split()[0]) for user in events.users], np.int64)
    assert len(item) > ITEMS
    at_us = START_US + 8 * HOUR_US
    unit, weight = learned_vectors(sums, item, ITEMS, at_us, HOUR_US)
    for wanted in range(ITEMS):
        total, popular = np.zeros(16), 0.0
        for of_item, _, time_us, partner, weighed in pairs:
            if of_item == wanted:
                share = weighed * math.pow(2, -(at_us - time_us) / HOUR_US)
                total += share * hashed_vectors([partner], 16)[0]
                popular += share
        assert weight[wanted] == pytest.approx(popular, rel=1e-9)
        np.testing.assert_allclose(unit[wanted], total / max(float(np.linalg.norm(total)), 1e-300), atol=1e-6)
    assert not unit[-1].any()
    assert unit[:-1].any(axis=1).all()


def test_no_record_at_all_gives_zeros(of_items: Plan) -> None:
    sums, _ = SumsReader(of_items, packed(of_items)).read([])
    unit, weight = learned_vectors(sums, np.zeros(0, np.int64), 3, START_US, HOUR_US)
    assert unit.shape == (3, 16)
    assert not unit.any()
    assert weight.tolist() == [0, 0, 0]
