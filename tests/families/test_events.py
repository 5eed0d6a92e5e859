"""Filters: which events match, null matching nothing."""

import pytest

from tests.trying import T0, batch, event, plan_of
from user_state.state.relevant import matches, relevant

EVERY = [
    event(T0, item_id=None, value=None, amount=None, bought=None),
    event(T0, item_id="", value=0.0, amount=0, bought=False),
    event(T0, item_id="a", value=-1.5, amount=-(2**63) + 1, bought=True),
    event(T0, item_id="b", value=1e300, amount=2**63 - 1, bought=True),
]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ({}, [True, True, True, True]),
        ({"item_id": ""}, [False, True, False, False]),
        ({"item_id": ["a", "b", "never seen"]}, [False, False, True, True]),
        ({"item_id": "never seen"}, [False, False, False, False]),
        ({"value": 0}, [False, True, False, False]),
        ({"value": [-1.5, 1e300]}, [False, False, True, True]),
        ({"amount": [0, 2**63 - 1]}, [False, True, False, True]),
        ({"amount": -(2**63) + 1}, [False, False, True, False]),
        ({"amount": -(2**63)}, [False, False, False, False]),
        ({"bought": False}, [False, True, False, False]),
        ({"bought": [True, False]}, [False, True, True, True]),
        ({"bought": True, "item_id": "b"}, [False, False, False, True]),
    ],
)
def test_a_filter_accepts_its_values_and_never_null(where, expected):
    plan = plan_of(features={"f": {"aggregate": "count", "where": where, "windows": ["1h"]}})
    events = batch(plan, EVERY)
    assert matches(plan, events, 0).tolist() == expected == relevant(plan, events).tolist()


def test_a_batch_of_no_events_has_no_users():
    plan = plan_of(features={"f": {"aggregate": "sum", "of": "value", "where": {"action": "x"}, "windows": ["1h"]}})
    events = batch(plan, [])
    assert (len(events), events.users, matches(plan, events, 0).tolist()) == (0, [], [])


def test_users_stand_in_order_of_their_first_event():
    events = batch(plan_of(), [event(T0, "b"), event(T0, "a"), event(T0, "b")])
    assert (events.users, events.user.tolist()) == (["b", "a"], [0, 1, 0])


def test_a_filter_that_the_plan_does_not_have_is_an_index_error():
    plan = plan_of()
    for filter_ in (-1, len(plan.filters)):
        with pytest.raises(IndexError, match="no such filter"):
            matches(plan, batch(plan, EVERY), filter_)
