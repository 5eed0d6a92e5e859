"""Logs fold to the same bytes in the compiled code and in numpy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.batches import Arrived, batches, rows_of
from tests.native.both import Both
from tests.native.damage import refusals
from tests.random_worlds import LISTS, QUICK, SEQUENCES, WHERES
from tests.trying import T0, D, H, S, event, plan_of

ZEROS = st.sampled_from([None, 0.0, -0.0, 1.0, -2.5])
LISTED = st.fixed_dictionaries(
    {
        "aggregate": st.lists(st.sampled_from(LISTS), min_size=1, unique=True),
        "of": st.sampled_from(["item_id", "value", "amount", "event_time"]),
        "k": st.integers(1, 5),
        "windows": st.lists(st.sampled_from(["90s", "1h", "1d", "lifetime"]), min_size=1, max_size=3, unique=True),
        "where": WHERES,
    },
    optional={"with": st.just(["action", "bought"])},
)


@pytest.mark.slow
@given(
    st.lists(LISTED, max_size=4), st.lists(SEQUENCES, min_size=1, max_size=2), st.sampled_from(["10m", "2d"]), st.data()
)
@settings(QUICK, max_examples=40)
def test_any_lists_and_sequences(listed: list[dict], sequences: list[dict], lateness: str, data: st.DataObject) -> None:
    arrived: list[list[Arrived]] = data.draw(batches(ZEROS))
    named = {"features": {f"f{at}": one for at, one in enumerate(listed)}} if listed else {}
    named["sequences"] = {f"s{at}": one for at, one in enumerate(sequences)}
    plan = plan_of(allowed_lateness=lateness, **named)
    both = Both(plan)
    for batch in arrived:
        assert both.fold(rows_of(plan, batch))


EVERY = {
    "features": {
        "first": {"aggregate": "first_k", "of": "item_id", "k": 2, "with": ["value"], "windows": ["1d", "lifetime"]},
        "last": {"aggregate": "last_distinct_k", "of": "value", "k": 4, "windows": ["lifetime"]},
    },
    "sequences": {
        "s": {"fields": ["item_id", "event_time", "value"], "last": 400},
        "t": {"fields": ["bought", "item_id"], "last": 3, "where": {"action": "like"}},
    },
}


@pytest.mark.slow
def test_columns_that_are_mostly_left_out() -> None:
    """More than 255 and than 65,535 strings, and times nine years before the newest."""
    plan = plan_of(
        features={"f": {"aggregate": "last_distinct_k", "of": "value", "k": 1, "windows": ["lifetime"]}},
        sequences={f"s{n}": {"fields": ["item_id"], "last": 10_000, "where": {"amount": n}} for n in range(8)},
        retention="9000d",
        allowed_lateness="9000d",
    )
    both = Both(plan)
    for first, count in ((0, 300), (300, 66_000), (-1, 1), (70_000, 10)):
        made = [
            event(T0 + n * S, item_id=f"\u00e9{n}", amount=n % 8, value=n % 7 / 2) for n in range(first, first + count)
        ]
        assert both.fold(rows_of(plan, [(one, T0 + 70_000 * S) for one in made]))
    late = event(T0 + 4_000 * D, item_id="new", amount=1)
    assert both.fold(rows_of(plan, [(late, T0 + 4_000 * D)]))


@pytest.mark.slow
def test_damage() -> None:
    plan = plan_of(allowed_lateness="10d", **EVERY)
    both = Both(plan)
    some = [
        event(T0 + n // 2 * H, item_id=f"\u00e9{n % 5}", value=n % 6 / 2, action="like" if n % 3 else "view")
        for n in range(60)
    ]
    strings = [event(T0 + 31 * H, item_id=f"{n}") for n in range(300)]
    both.fold(rows_of(plan, [(one, T0 + 31 * H) for one in some]))
    both.fold(rows_of(plan, [(event(T0, "v", item_id="a"), T0), *((one, T0 + 32 * H) for one in strings)]))
    new = rows_of(plan, [(event(T0 + 30 * H, item_id="b", value=-0.0, action="like"), T0 + 33 * H)])
    assert 200 < refusals(both, "logs", new) < 990
    assert 200 < refusals(both, "dictionary", new, tries=500) < 500
