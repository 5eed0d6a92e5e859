"""Sessions fold to the same bytes in the compiled code and in numpy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.native.batches import Arrived, batches, rows_of
from tests.native.both import Both
from tests.native.damage import refusals
from tests.random_worlds import QUICK, SESSIONS, WHERES
from tests.trying import T0, D, H, M, event, plan_of

FEATURES = st.fixed_dictionaries(
    {
        "aggregate": st.lists(st.sampled_from(SESSIONS), min_size=1, unique=True),
        "gap": st.sampled_from(["1s", "10m", "1h", "1d"]),
        "windows": st.lists(st.sampled_from(["90s", "1h", "1d", "lifetime"]), min_size=1, max_size=3, unique=True),
        "where": WHERES,
    }
)


@pytest.mark.slow
@given(st.lists(FEATURES, min_size=1, max_size=9), st.sampled_from(["10m", "2d"]), batches())
@settings(QUICK, max_examples=50)
def test_any_features(features: list[dict], lateness: str, arrived: list[list[Arrived]]) -> None:
    made = {f"f{at}": feature for at, feature in enumerate(features)}
    plan = plan_of(features=made, allowed_lateness=lateness)
    both = Both(plan)
    for batch in arrived:
        assert both.fold(rows_of(plan, batch))


EVERY = {
    "visits": {"aggregate": ["session_count", "current_session_length"], "gap": "1h", "windows": ["1d"]},
    "likes": {
        "aggregate": ["session_events_mean", "session_length_mean"],
        "gap": "8h",
        "where": {"action": "like"},
        "windows": ["30d", "lifetime"],
    },
}


def test_columns_that_are_mostly_left_out() -> None:
    """Sessions of more than 71 minutes, of more than 256 events, and nine years before the newest."""
    plan = plan_of(features={"f": {**EVERY["likes"], "windows": ["9000d", "lifetime"]}}, retention="9000d")
    both = Both(plan)
    for times in ([n * M for n in range(400)], [400 * D, 400 * D + 2 * H], [4_000 * D], [390 * M], [20_000 * D]):
        assert both.fold(rows_of(plan, [(event(T0 + at, action="like"), T0 + at) for at in times]))


@pytest.mark.slow
def test_damage() -> None:
    plan = plan_of(features=EVERY, allowed_lateness="10d")
    both = Both(plan)
    some = [(event(T0 + n * 5 * H, action="like" if n % 3 else "view"), T0 + n * 5 * H) for n in range(90)]
    both.fold(rows_of(plan, [*some, (event(T0, user="v"), T0)]))
    new = rows_of(plan, [(event(T0 + 451 * H, action="like"), T0 + 451 * H)])
    assert 200 < refusals(both, "sessions", new) < 990
