"""Decayed sums of vectors fold to the same record in the compiled code and in numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.batches import Arrived, batches, rows_of
from tests.native.both import Both, unpacked
from tests.native.damage import refusals
from tests.random_worlds import QUICK, VECTORS
from tests.trying import T0, H, event, plan_of
from user_state.core.compile.learned import item_plan
from user_state.core.hashed_vectors import hashed_vectors

PAIRS = st.lists(
    st.tuples(st.sampled_from("ij"), st.integers(0, 90), st.sampled_from("abc"), st.floats(-2, 2)),
    min_size=1,
    max_size=12,
)


@given(st.lists(VECTORS, min_size=1, max_size=2), batches())
@settings(QUICK, max_examples=30)
def test_any_embeddings(embeddings: list[dict], arrived: list[list[Arrived]]) -> None:
    plan = plan_of(embeddings={f"e{at}": embedding for at, embedding in enumerate(embeddings)})
    both = Both(plan)
    for batch in arrived:
        both.fold(rows_of(plan, batch))


@given(st.lists(PAIRS, min_size=1, max_size=4))
@settings(QUICK, max_examples=30)
def test_vectors_weighed_by_a_field(pairs: list[list[tuple[str, int, str, float]]]) -> None:
    of_events = plan_of(items={"together": {"dimensions": 8, "learned": {"of": "item_id", "half_life": "1h"}}})
    plan = item_plan(of_events, of_events.learned[0])
    both = Both(plan)
    for batch in pairs:
        both.fold([(item, 7, T0 + age * H, T0 + age * H, partner, weight) for item, age, partner, weight in batch])


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_bytes_are_the_same_where_powers_are_exact(storage: str) -> None:
    """Ages are whole half-lives, so that the lots of rounding are the same ones."""
    made = {"kind": "decayed_sum", "of": "item_id", "dimensions": 130, "half_life": ["1h", "2h"], "storage": storage}
    plan = plan_of(embeddings={"e": {**made, "weights": {"view": 3.0, "like": -0.7}}})
    both, rng = Both(plan), np.random.default_rng(5)
    total = np.zeros(130)
    for _ in range(60):
        # More than eight, from where on numpy adds up pairwise, and more than its blocks of 128.
        size = int(rng.choice([1, 2, 8, 9, 10, 40, 300]))
        hours, items, likes = rng.integers(0, 20, size), rng.integers(0, 30, size), rng.integers(0, 2, size)
        arrived = [
            (event(T0 + 2 * H * int(hour), item_id=f"item {item}", action="like" if like else "view"), T0)
            for hour, item, like in zip(hours, items, likes, strict=True)
        ]
        assert both.fold(rows_of(plan, arrived))
        shares = np.where(likes, -0.7, 3.0) * 2.0 ** (2.0 * (hours - 19))
        total += shares @ hashed_vectors([f"item {item}" for item in items], 130)
    held = unpacked(plan, [both.stored["u"]]).vectors[0]
    age = (T0 + 38 * H - held.time_us[0]) / H
    largest = np.abs(total).max()
    np.testing.assert_allclose(
        held.sums[0, 0] * 2.0**-age, total, atol=largest * (1e-7 if storage == "float32" else 5e-3)
    )


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_damage(storage: str) -> None:
    made = {"kind": "decayed_mean", "of": "item_id", "dimensions": 3, "half_life": ["1h", "7d"], "storage": storage}
    plan = plan_of(embeddings={"e": made, "f": {**made, "where": {"action": "like"}}})
    both = Both(plan)
    some = [(event(T0 + n * H, item_id=f"{n % 4}", action="like" if n % 3 else "view"), T0) for n in range(9)]
    both.fold(rows_of(plan, [*some, (event(T0, user="v", item_id="a"), T0)]))
    new = rows_of(plan, [(event(T0 + 20 * H, item_id="new"), T0 + 20 * H)])
    assert 200 < refusals(both, "vectors", new) < 990
