"""What may be known of a user at a label, worked out from all messages for each label anew.

    publish    the messages that had been published more than the delay before the label, judged in order of arrival
    event      of all messages, judged in order of arrival, those applied whose event time lies before the label

Order of arrival is that of (publish time, event time, hash of the event id). A user is forgotten `retention` after the
last event: what came before is then in nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import xxhash

from user_state.oracle.events import AppliedEvent, Arrival
from user_state.oracle.replay import Replay, clocks_of, id_of, is_ahead, is_expired, replay
from user_state.spec.model import Spec


def known_at(
    spec: Spec,
    arrivals: Iterable[Arrival],
    user: str,
    at_us: int,
    *,
    order: str = "publish",
    delay_us: int = 0,
    held_back: str | None = None,
) -> list[AppliedEvent]:
    """Return the events that a label may know.

    Args:
        spec: the rules.
        arrivals: all messages, in any order.
        user: whose.
        at_us: the label's time, microseconds UTC.
        order: publish or event.
        delay_us: how long an event takes from being published to being served, in order of publishing.
        held_back: the id of an event that the label must not know, and that is as if it had never been.
    """
    messages = [one for one in in_order_of_arrival(spec, arrivals) if held_back is None or _id(spec, one) != held_back]
    if order == "publish":
        seen = [one for one in messages if _clocks(spec, one)[1] + delay_us < at_us]
        known = replay(spec, seen, delay_us=delay_us).applied.get(user, [])
    else:
        known = _since_forgotten(spec, _applied(spec, messages, user), at_us)
    if known and is_expired(spec, max(event.time_us for event in known), at_us):
        return []
    return known


def backfilled(
    spec: Spec, arrivals: Iterable[Arrival], now_us: int, until_us: int | None = None
) -> dict[str, list[AppliedEvent]]:
    """Return the events that the record of each user holds whom a backfill has made a record of.

    Args:
        spec: the rules.
        arrivals: all messages, in any order.
        now_us: the wall clock as it was made, microseconds UTC: who is forgotten by then has no record.
        until_us: the backfill has what was published before then; None: all.
    """
    applied = replay_history(spec, arrivals, now_us, until_us).applied
    return {
        user: events
        for user, events in applied.items()
        if not is_expired(spec, max(event.time_us for event in events), now_us)
    }


def replay_history(spec: Spec, arrivals: Iterable[Arrival], now_us: int, until_us: int | None = None) -> Replay:
    """Return what becomes of the valid messages of history; as `backfilled`, with users who are forgotten by now."""
    messages = []
    for arrival in in_order_of_arrival(spec, arrivals):
        published_us = _clocks(spec, arrival)[1]
        if not is_ahead(spec, published_us, now_us) and (until_us is None or published_us < until_us):
            messages.append(arrival)
    return replay(spec, messages, delay_us=0)


def in_order_of_arrival(spec: Spec, arrivals: Iterable[Arrival]) -> list[Arrival]:
    """Return the valid messages, sorted."""
    valid = [one for one in arrivals if clocks_of(spec, one) is not None]
    return sorted(valid, key=lambda one: (*_clocks(spec, one)[::-1], _hash(_id(spec, one))))


def _applied(spec: Spec, messages: Sequence[Arrival], user: str) -> list[AppliedEvent]:
    """Return all events of a user that were ever applied, in order of event time."""
    made = []
    for arrival, found in zip(messages, replay(spec, messages, delay_us=0).bins, strict=True):
        event = arrival.event or {}
        if found == "applied" and id_of(event[spec.events.user]) == user:
            time_us, published_us = _clocks(spec, arrival)
            made.append(AppliedEvent(time_us, _hash(_id(spec, arrival)), published_us, event))
    return sorted(made, key=lambda event: (event.time_us, event.id_hash))


def _since_forgotten(spec: Spec, applied: Sequence[AppliedEvent], at_us: int) -> list[AppliedEvent]:
    known: list[AppliedEvent] = []
    for event in applied:
        if event.time_us >= at_us:
            break
        if known and is_expired(spec, known[-1].time_us, event.time_us):
            known = []
        known.append(event)
    return known


def _clocks(spec: Spec, arrival: Arrival) -> tuple[int, int]:
    clocks = clocks_of(spec, arrival)
    if clocks is None:
        raise ValueError("expected a valid message")
    return clocks


def _id(spec: Spec, arrival: Arrival) -> str:
    return id_of((arrival.event or {})[spec.events.id])


def _hash(text: str) -> int:
    return xxhash.xxh64_intdigest(text.encode(), seed=0)
