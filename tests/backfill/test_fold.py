"""Records made of a shard of history are those of the events that brute force says were applied and not forgotten."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.backfill.worlds import assert_say, backfilled, forgetting, judged, pieces, records_of
from tests.random_worlds import QUICK, World, reading_moments, worlds
from tests.trying import T0, D, H, M, S, batch, event, plan_of, spec_of
from user_state import oracle
from user_state.backfill import fold
from user_state.backfill.fold import ShardFold, in_order
from user_state.plan.compile import compile_plan
from user_state.state.envelope import VERSION, heads_of
from user_state.state.events import Events

TOKEN = 0xFEDCBA9876543210


def folded(plan, events: Events, token: int = TOKEN):
    return records_of(ShardFold(plan, token).fold(events))


@pytest.mark.slow
@given(worlds(), st.data())
@settings(QUICK, max_examples=120)
def test_records_say_what_brute_force_says_of_users_who_are_not_forgotten(world: World, data: st.DataObject):
    loaded = forgetting(world, data)
    plan = compile_plan(loaded)
    now_us = data.draw(reading_moments(replace(world, spec=loaded)))
    published = [arrival.published_us for arrival in world.arrivals]
    until_us = data.draw(st.sampled_from([None, *published]))
    arrivals = data.draw(st.permutations(world.arrivals))
    kept = judged(loaded, plan, arrivals, now_us, until_us)
    made = backfilled(plan, kept, now_us)
    expected = oracle.backfilled(loaded.spec, world.arrivals, now_us, until_us)
    assert_say(loaded, plan, {user: record for user, (record, _, _) in made.items()}, expected)


@pytest.mark.slow
@given(worlds(), st.data())
@settings(QUICK, max_examples=60)
def test_neither_order_nor_the_users_beside_change_a_byte(world: World, data: st.DataObject):
    loaded = forgetting(world, data)
    plan = compile_plan(loaded)
    kept = judged(loaded, plan, world.arrivals, 2**60)
    once = folded(plan, kept)
    other = judged(loaded, plan, data.draw(st.permutations(world.arrivals)), 2**60)
    assert folded(plan, other) == once
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold, "CALL_EVENTS", data.draw(st.sampled_from([1, 2, 5])))
        assert folded(plan, other) == once
    for number, user in enumerate(kept.users):
        alone = kept.take(kept.user == number)
        if len(alone):
            _, alone = alone.of_their_users()
            assert folded(plan, alone) == {user: once[user]}


@pytest.mark.slow
@given(worlds(), st.data())
@settings(QUICK, max_examples=100)
def test_a_shard_in_parts_and_a_user_in_steps_say_the_same(world: World, data: st.DataObject):
    loaded = forgetting(world, data)
    plan = compile_plan(loaded)
    now_us = max(arrival.published_us or 0 for arrival in world.arrivals)
    kept = judged(loaded, plan, world.arrivals, now_us)
    order = np.argsort(kept.published_us, kind="stable")
    # Events of one publish time are in one part.
    edges = np.flatnonzero(np.diff(kept.published_us[order])) + 1
    chosen = sorted(data.draw(st.sets(st.sampled_from(edges.tolist())))) if len(edges) else []
    parts = [kept.take(rows) for rows in np.split(order, chosen)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fold, "EVENTS_AT_ONCE", data.draw(st.sampled_from([1, 3, 1000])))
        made = records_of(ShardFold(plan, TOKEN).fold_parts(parts))
    held = {user: one[0] for user, one in made.items() if one[2] + plan.retention_us > now_us}
    assert_say(loaded, plan, held, oracle.backfilled(loaded.spec, world.arrivals, now_us))


def test_versions_follow_from_the_token_and_the_user_and_count_one_write():
    plan = plan_of()
    events = batch(plan, [event(T0, "u"), event(T0, "v"), event(T0 + S, "u")])
    one, same, other = folded(plan, events), folded(plan, events), folded(plan, events, TOKEN + (1 << 40))
    assert one == same
    versions = {made[user][0][VERSION] for made in (one, other) for user in ("u", "v")}
    assert len(versions) == 4
    assert {version[:4] for version in versions} == {b"\0\0\0\1"}


@pytest.mark.parametrize(("gap_us", "held", "forgotten"), [(2 * D - 1, 2, 0), (2 * D, 1, 1), (2 * D + 1, 1, 1)])
def test_a_user_begins_anew_when_an_event_arrives_a_retention_after_the_last_one(gap_us, held, forgotten):
    plan = plan_of(retention="2d")
    (made,) = ShardFold(plan, TOKEN).fold(batch(plan, [event(T0), event(T0 + gap_us)]))
    assert int(heads_of(made.records)[0].applied[0]) == held
    assert made.counts == Counter({"applied": held, "expired": forgotten} if forgotten else {"applied": held})


def test_of_many_users_with_many_events_each_is_folded_once_in_its_own_steps(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fold, "EVENTS_AT_ONCE", 4)
    plan = plan_of()
    events = [event(T0 + at * S, "much" if at % 3 else f"few{at}") for at in range(30)]
    made = folded(plan, batch(plan, events))
    applied = {user: int(heads_of([one[0]])[0].applied[0]) for user, one in made.items()}
    assert applied == {"much": 20, **{f"few{at}": 1 for at in range(0, 30, 3)}}
    assert made["much"][0][VERSION][:4] == b"\0\0\0\5"


def test_what_outgrows_the_record_is_refused_a_step_at_a_time_and_what_comes_later_is_taken(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(fold, "LEAST_REFUSED", 1)
    wide = {"sequences": {"recent": {"fields": ["item_id", "event_time"], "last": 1000}}, "max_record": "64KB"}
    plan = plan_of(**wide)
    events = [event(T0 + at * M, "u", item_id=f"{at:04000}" if at < 40 else "a") for at in range(60)]
    (*_, made) = ShardFold(plan, TOKEN).fold(batch(plan, events))
    assert made.counts["applied"] + made.counts["oversized"] == 60
    assert made.counts["oversized"] > 10
    assert len(made.records[0]) <= plan.max_record_bytes
    assert made.last_event_us.tolist() == [T0 + 59 * M]


def test_late_and_doubled_events_arrive_in_order_of_publishing():
    loaded = spec_of(allowed_lateness="1h")
    plan = compile_plan(loaded)
    events = [event(T0, event_id="a"), event(T0 + H, event_id="b"), event(T0, event_id="a"), event(T0 + 5 * M)]
    published = [T0, T0 + H, T0 + H - 1, T0 + 30 * M]
    (made,) = ShardFold(plan, TOKEN).fold(batch(plan, events, published))
    assert made.counts == {"applied": 3, "duplicate": 1}


def test_events_are_sorted_by_user_and_within_by_arrival():
    plan = plan_of()
    events = batch(plan, [event(T0 + 2, "v"), event(T0 + 1, "u"), event(T0, "v"), event(T0 + 3, "u")])
    sorted_ = in_order(events, plan.kinds)
    assert sorted_.user.tolist() == [0, 0, 1, 1]
    assert sorted_.time_us.tolist() == [T0, T0 + 2, T0 + 1, T0 + 3]
    assert [len(piece) for piece in pieces(sorted_, [1, 2])] == [1, 2, 1]
