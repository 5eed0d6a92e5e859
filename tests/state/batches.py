"""Batches of events at random: late, early, tied, with nulls, of three users."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from tests.random_worlds import ACTIONS, BEGINNINGS, USERS, event_times
from tests.trying import H, M, S, event, spec_of
from user_state.events.decode import EventDecoder
from user_state.plan.plan import Plan
from user_state.state.events import EventRow

ITEMS = (None, "a", "b", "c\u0000", "\u6f22", "an item whose id is longer than thirty-two bytes")
Arrived = tuple[dict[str, Any], int]
"""An event, and when it was published."""


@st.composite
def batches(draw: st.DrawFn, value: st.SearchStrategy[float | None] | None = None) -> list[list[Arrived]]:
    """Up to five batches of up to twelve events, whose `value` is of the strategy, or any."""
    fields = {
        "action": st.sampled_from(ACTIONS),
        "item_id": st.sampled_from(ITEMS),
        "value": st.one_of(st.none(), st.floats(-100, 100)) if value is None else value,
        "amount": st.one_of(st.none(), st.integers(0, 3)),
    }
    times = event_times(draw(st.sampled_from(BEGINNINGS)))
    arrived = st.builds(
        lambda time_us, delay_us, user, held: (event(time_us, user, **held), time_us + delay_us),
        times,
        st.sampled_from([0, 0, 0, S, M, -S, H, 50 * H]),
        st.sampled_from(USERS),
        st.fixed_dictionaries(fields),
    )
    return draw(st.lists(st.lists(arrived, min_size=1, max_size=12), min_size=1, max_size=5))


def rows_of(plan: Plan, arrived: Sequence[Arrived]) -> list[EventRow]:
    """Return a batch as rows."""
    decoder = EventDecoder(plan, spec_of().schema)
    return [decoder.row(made, published_us) for made, published_us in arrived]
