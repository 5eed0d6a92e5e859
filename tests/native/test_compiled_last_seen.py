"""Values and days last seen fold to the same bytes in the compiled code and in numpy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.batches import Arrived, batches, rows_of
from tests.native.both import Both
from tests.native.damage import refusals
from tests.random_worlds import QUICK, WHERES, ZONES
from tests.trying import T0, D, H, S, event, plan_of

WINDOWS = st.lists(st.sampled_from(["90s", "1h", "3d", "lifetime"]), min_size=1, max_size=3, unique=True)
DISTINCT = st.fixed_dictionaries(
    {
        "aggregate": st.just("distinct"),
        "of": st.sampled_from(["item_id", "value", "amount", "bought", "event_time"]),
        "windows": WINDOWS,
        "where": WHERES,
    },
    optional={"cap": st.sampled_from([1, 2, 3, 65_535])},
)
DAYS = st.fixed_dictionaries(
    {"aggregate": st.just(["active_days", "streak_days"]), "windows": WINDOWS, "where": WHERES}
)
ZEROS = st.sampled_from([None, 0.0, -0.0, 1.0, -2.5, 1e300])


@pytest.mark.slow
@given(st.lists(st.one_of(DISTINCT, DAYS), min_size=1, max_size=6), st.sampled_from(ZONES), batches(ZEROS))
@settings(QUICK, max_examples=40)
def test_any_features(features: list[dict], zone: str, arrived: list[list[Arrived]]) -> None:
    plan = plan_of(features={f"f{at}": one for at, one in enumerate(features)}, timezone=zone, allowed_lateness="2d")
    both = Both(plan)
    for batch in arrived:
        assert both.fold(rows_of(plan, batch))


EVERY = {
    "items": {"aggregate": "distinct", "of": "item_id", "cap": 40, "windows": ["3d", "lifetime"]},
    "values": {"aggregate": "distinct", "of": "value", "windows": ["lifetime"]},
    "days": {"aggregate": ["streak_days", "active_days"], "windows": ["lifetime"]},
}


def test_caps_are_reached_and_values_are_half_a_year_old() -> None:
    plan = plan_of(features=EVERY, timezone="Europe/Berlin", allowed_lateness="300d")
    both = Both(plan)
    batches = ([*range(30)], [*range(20, 60)], [70, 59, 3], [*range(40, 140)], [200 * 24 * 6], [5])
    for numbers in batches:
        made = [event(T0 + n * 600 * S, item_id=f"\u00e9{n % 77}", value=n % 9 / 3) for n in numbers]
        assert both.fold(rows_of(plan, [(one, T0 + 200 * D) for one in made]))


def test_days_follow_the_rules_of_today() -> None:
    """What was stored under another zone's rules is put on this one's days."""
    plans = [
        plan_of(features={"days": {"aggregate": "active_days", "windows": ["lifetime"]}}, timezone=zone)
        for zone in ("UTC", "Pacific/Apia")
    ]
    before, after = map(Both, plans)
    before.fold(rows_of(plans[0], [(event(T0 + n * 7 * H), T0 + n * 7 * H) for n in range(20)]))
    head, tail = before.stored["u"][:18], before.stored["u"][26:]
    after.stored["u"] = head + plans[1].layout.fingerprint + tail
    assert after.fold(rows_of(plans[1], [(event(T0 + 150 * H), T0 + 150 * H)]))


@pytest.mark.slow
def test_damage() -> None:
    plan = plan_of(features=EVERY, timezone="Europe/Berlin", allowed_lateness="300d")
    both = Both(plan)
    some = [(event(T0 + n * 5 * H, item_id=f"{n % 50}", value=n % 7 / 2), T0 + n * 5 * H) for n in range(80)]
    both.fold(rows_of(plan, [*some, (event(T0, user="v", value=1.0), T0)]))
    new = rows_of(plan, [(event(T0 + 401 * H, item_id="b", value=-0.0), T0 + 401 * H)])
    assert 200 < refusals(both, "last_seen", new) < 990
