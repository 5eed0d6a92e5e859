"""The stream goes on from a backfill as if it had been there from the beginning: no user differs from brute force.

A cut at any publish time; the stream is sought back by an overlap from nothing to `allowed_lateness`, so that it brings
again what the files had; copies are published again about the cut, events are late, early and tied.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backfill.worlds import assert_say, backfilled, judged, pieces, row_of
from tests.random_worlds import QUICK, World, worlds
from tests.trying import T0, D, H, M, event, spec_of
from user_state import oracle
from user_state.evaluation.memory_store import MemoryStore
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec
from user_state.state.events import Events
from user_state.state.outcome import Outcome
from user_state.state.relevant import relevant
from user_state.store.registry import Writer
from user_state.store.store import Answer, Replacement

FAR_US = T0 + 10_000 * D


def filled(plan: Plan, kept: Events) -> MemoryStore:
    """Return a store with the records of a backfill, of users who are not forgotten at T0."""
    store = MemoryStore()
    store.claim(Writer(plan.layout, plan.definition, 1))
    replacements = [
        Replacement(user, b"", record, seen) for user, (record, seen, _) in backfilled(plan, kept, 0).items()
    ]
    assert all(answer == Answer.DONE for answer in store.replace(replacements).answers)
    return store


def streamed(
    loaded: LoadedSpec, plan: Plan, store: MemoryStore, arrivals: Sequence[oracle.Arrival], sizes: Sequence[int]
) -> list[int]:
    """Fold messages into a store as the pipeline does, in batches; return the outcomes of those that it folds."""
    if not arrivals:
        return []
    events = Events.from_rows(plan, [row_of(loaded, plan, one) for one in arrivals])
    events = events.take(relevant(plan, events))
    folder = Folder(plan, store)
    outcomes: list[int] = []
    for some in pieces(events, sizes):
        outcomes += folder.fold_events(some).outcome.tolist()
    return outcomes


@pytest.mark.slow
@given(worlds(), st.data())
@settings(QUICK, max_examples=120)
def test_no_user_differs_whatever_the_cut_and_the_overlap(world: World, data: st.DataObject):
    loaded = world.spec
    plan, spec = compile_plan(loaded), loaded.spec
    arrivals = oracle.in_order_of_arrival(spec, world.arrivals)
    published = sorted({arrival.published_us or 0 for arrival in arrivals})
    cut_us = data.draw(st.sampled_from(published)) + data.draw(st.sampled_from([0, 1]))
    lateness = spec.allowed_lateness
    overlap = data.draw(st.sampled_from([0, 0, 1, M, H, lateness // 2, lateness - 1, lateness]))
    before = [one for one in arrivals if (one.published_us or 0) < cut_us]
    stream = [one for one in arrivals if (one.published_us or 0) >= cut_us - overlap]
    is_in_order = data.draw(st.booleans())
    if not is_in_order:
        stream = data.draw(st.permutations(stream))
    store = filled(plan, judged(loaded, plan, data.draw(st.permutations(before)), FAR_US) if before else _none(plan))
    streamed(loaded, plan, store, stream, data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=4)))
    held = {user: store.read([user])[0].record for user in {one.event["user_id"] for one in arrivals if one.event}}
    assert_say(loaded, plan, held, oracle.replay(spec, [*before, *stream]).applied)
    if is_in_order:
        # Nobody could tell that it was not the stream alone.
        assert_say(loaded, plan, held, oracle.replay(spec, arrivals).applied)


def _none(plan: Plan) -> Events:
    return Events.from_rows(plan, [])


def test_what_both_have_counts_once_and_what_is_later_is_folded():
    loaded, plan = _hour()
    old, again, new = (event(T0 + at * M, "u", f"e{at}") for at in (0, 59, 60))
    arrivals = [oracle.Arrival(one, one["event_time"]) for one in (old, again, new)]
    store = filled(plan, judged(loaded, plan, arrivals[:2], FAR_US))
    outcomes = streamed(loaded, plan, store, [arrivals[1], arrivals[2], arrivals[1]], [1])
    assert outcomes == [Outcome.DUPLICATE, Outcome.APPLIED, Outcome.DUPLICATE]


def test_without_remembered_ids_what_both_have_would_count_twice():
    """The positive twin: the ids beside the records are what makes it right."""
    loaded, plan = _hour()
    arrivals = [oracle.Arrival(event(T0 + at * M, "u", f"e{at}"), T0 + at * M) for at in (0, 59)]
    ((user, (record, _, _)),) = backfilled(plan, judged(loaded, plan, arrivals, FAR_US), 0).items()
    store = MemoryStore()
    store.claim(Writer(plan.layout, plan.definition, 1))
    store.replace([Replacement(user, b"", record, b"\1")])
    assert streamed(loaded, plan, store, [arrivals[1]], [1]) == [Outcome.APPLIED]


def _hour() -> tuple[LoadedSpec, Plan]:
    loaded = spec_of(allowed_lateness="1h")
    return loaded, compile_plan(loaded)
