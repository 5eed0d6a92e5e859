"""Decayed numbers and profiles fold to the same record in the compiled code and in numpy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.batches import Arrived, batches, rows_of
from tests.native.both import Both, unpacked
from tests.native.damage import refusals
from tests.random_worlds import HALF_LIVED, QUICK, WHERES, ZONES
from tests.trying import T0, H, M, event, plan_of

FEATURES = st.fixed_dictionaries(
    {
        "aggregate": st.lists(st.sampled_from(HALF_LIVED), min_size=1, unique=True),
        "of": st.sampled_from(["value", "amount"]),
        "half_life": st.lists(st.sampled_from(["1m", "1h", "7d"]), min_size=1, max_size=3, unique=True),
        "where": WHERES,
    }
).map(lambda made: {name: part for name, part in made.items() if name != "of" or "decayed_sum" in made["aggregate"]})


@pytest.mark.slow
@given(st.lists(FEATURES, min_size=1, max_size=3), st.sampled_from(ZONES), batches())
@settings(QUICK, max_examples=30)
def test_any_features(features: list[dict], timezone: str, arrived: list[list[Arrived]]) -> None:
    plan = plan_of(features={f"f{at}": feature for at, feature in enumerate(features)}, timezone=timezone)
    both = Both(plan)
    for batch in arrived:
        both.fold(rows_of(plan, batch))


@given(batches())
@settings(QUICK, max_examples=30)
def test_decayed_sums_are_those_of_the_events(arrived: list[list[Arrived]]) -> None:
    """Against a loop over all events, since sums of values that cancel one another cannot be held to numpy's."""
    plan = plan_of(features={"f": {"aggregate": "decayed_sum", "of": "value", "half_life": ["1m", "7d"]}})
    both = Both(plan)
    met: dict[str, list[tuple[int, float]]] = {}
    for batch in arrived:
        both.fold(rows_of(plan, batch))
        for made, _ in batch:
            if made["value"] is not None:
                met.setdefault(made["user_id"], []).append((made["event_time"], made["value"]))
        for user, blob in both.stored.items():
            held = unpacked(plan, [blob]).decays[0]
            newest_us = max((time_us for time_us, _ in met.get(user, [])), default=0)
            assert held.time_us == newest_us
            for at, half_life_us in enumerate((M, 168 * H)):
                shares = [value * 2 ** (-(newest_us - at_us) / half_life_us) for at_us, value in met.get(user, [])]
                np.testing.assert_allclose(held.sums[0, at], sum(shares), rtol=0, atol=1e-12 * sum(map(abs, shares)))


EVERY = {
    "sums": {"aggregate": ["decayed_count", "decayed_sum"], "of": "value", "half_life": ["1h", "2h"]},
    "likes": {"aggregate": "decayed_count", "half_life": "1h", "where": {"action": "like"}},
    "hours": {"aggregate": ["hour_of_day", "day_of_week"], "half_life": ["1h", "2h"]},
    "days": {"aggregate": "day_of_week", "half_life": "1h", "where": {"action": "like"}},
}


def test_bytes_are_the_same_where_powers_are_exact() -> None:
    """Ages are whole half-lives."""
    plan = plan_of(features=EVERY, timezone="Asia/Kolkata")
    both, rng = Both(plan), np.random.default_rng(5)
    for _ in range(60):
        arrived = [
            (event(T0 + 2 * H * int(hour), value=float(value), action="like" if value > 2 else "view"), T0)
            for hour, value in zip(rng.integers(0, 2000, 12), rng.normal(size=12), strict=True)
        ]
        assert both.fold(rows_of(plan, arrived))


@pytest.mark.slow
def test_damage() -> None:
    plan = plan_of(features=EVERY)
    both = Both(plan)
    some = [(event(T0 + n * H, value=n / 3, action="like" if n % 3 else "view"), T0) for n in range(9)]
    both.fold(rows_of(plan, [*some, (event(T0, user="v", value=1.0), T0)]))
    new = rows_of(plan, [(event(T0 + 20 * H, value=2.5), T0 + 20 * H)])
    assert 200 < refusals(both, "decays", new) < 990
    assert 200 < refusals(both, "profiles", new) < 990
