"""What becomes of every message, judged one at a time by the rules in docs/design/layers.md."""

from __future__ import annotations

import datetime
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xxhash

from user_state.oracle.events import AppliedEvent, Arrival, has, matches, plain
from user_state.oracle.features import AGGREGATES
from user_state.oracle.kinds import EMBEDDINGS
from user_state.oracle.view import TextOrNumber
from user_state.spec.aggregations import AGGREGATIONS
from user_state.spec.model import Spec

FIRST_TIME_US = 31_536_000 * 1_000_000
"""1971-01-01T00:00:00Z, the first event time accepted."""
END_TIME_US = 4_102_444_800 * 1_000_000
"""2100-01-01T00:00:00Z, the first event time no longer accepted."""
MAX_ID_BYTES = 1024
MAX_TEXT_BYTES = 65_535
MAX_LIST_VALUES = 65_535
LEAST_TOLERANCE_US = 60_000_000
"""How far a publish time may be ahead of the wall clock, however small the spec's skew: clocks of machines differ."""
_REASONS: Mapping[str | None, str] = {None: "undecodable", "no body": "undecodable"}
LEAST_INT, MOST_INT = -(2**63), 2**63 - 1
"""An integer or a time in microseconds lies between them; the least itself is none, since records hold it for null."""


@dataclass(frozen=True)
class Replay:
    """What became of every message.

    Attributes:
        applied: each user's applied events, in order of arrival; those of a user who was forgotten since then.
        bins: the bin of every arrival, in order: applied, duplicate, ignored, expired or
            dead_letter/<reason>.
        counts: arrivals by bin; applied, duplicate and ignored are always there.
    """

    applied: dict[str, list[AppliedEvent]]
    bins: list[str]
    counts: dict[str, int]


def replay(
    spec: Spec, arrivals: Iterable[Arrival], *, now_us: int | None = None, delay_us: int | None = None
) -> Replay:
    """Return the fate of every arrival, judged one message at a time in the order given.

    Args:
        spec: the rules.
        arrivals: the messages, in order of arrival.
        now_us: the wall clock as they were read, microseconds UTC; None judges nothing by it.
        delay_us: for how long each was on its way, from its publish time on, microseconds: what is too old by then is
            `expired`, and a user whose last event is is forgotten. None has all read at once: nobody is forgotten.
    """
    applied: dict[str, list[AppliedEvent]] = {}
    clock_us: dict[str, int] = {}
    # user -> event id -> event time, for every id ever applied; whether it is still remembered is asked when it matters
    times_us: dict[str, dict[str, int]] = {}
    last_us: dict[str, int] = {}
    used = used_fields(spec)
    bins = []
    for arrival in arrivals:
        event = arrival.event
        if spec.events.deletes == "ignore" and _is_delete(spec, arrival):
            bins.append("ignored")
            continue
        if event is None or arrival.reason is not None:
            bins.append(f"dead_letter/{_REASONS.get(arrival.reason, arrival.reason)}")
            continue
        if not _is_valid(spec, arrival, used):
            bins.append("dead_letter/invalid")
            continue
        if not _is_wanted(spec, event):
            bins.append("ignored")
            continue
        time_us, published_us = times_of(spec, arrival)
        if now_us is not None and is_expired(spec, time_us, now_us):
            bins.append("expired")
            continue
        if delay_us is not None and is_expired(spec, time_us, published_us + delay_us):
            bins.append("expired")
            continue
        if now_us is not None and is_ahead(spec, published_us, now_us):
            bins.append("dead_letter/from_future")
            continue
        if time_us > published_us + spec.max_clock_skew:
            bins.append("dead_letter/from_future")
            continue
        if time_us < published_us - spec.allowed_lateness:
            bins.append("dead_letter/too_late")
            continue
        user, event_id = id_of(event[spec.events.user]), id_of(event[spec.events.id])
        if delay_us is not None and user in last_us and is_expired(spec, last_us[user], published_us + delay_us):
            for held in (last_us, times_us, clock_us, applied):
                held.pop(user, None)
        seen = times_us.setdefault(user, {})
        horizon_us = clock_us.get(user, published_us) - spec.allowed_lateness
        if time_us < horizon_us:
            bins.append("dead_letter/too_late")
            continue
        if event_id in seen and seen[event_id] >= horizon_us:
            bins.append("duplicate")
            continue
        seen[event_id] = time_us
        clock_us[user] = max(clock_us.get(user, published_us), published_us)
        last_us[user] = max(last_us.get(user, time_us), time_us)
        applied.setdefault(user, []).append(AppliedEvent(time_us, _xxh64(event_id), published_us, event))
        bins.append("applied")
    counts = Counter({"applied": 0, "duplicate": 0, "ignored": 0})
    counts.update(bins)
    return Replay(applied, bins, dict(counts))


def _is_delete(spec: Spec, arrival: Arrival) -> bool:
    """Return whether a change event has no row: a record on the way to the user is null, or there is no body at all."""
    if arrival.event is None or arrival.reason is not None:
        return arrival.reason == "no body"
    value: Any = arrival.event
    for part in spec.events.user.split(".")[:-1]:
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return value is None


def is_expired(spec: Spec, time_us: int, now_us: int) -> bool:
    """Return whether a record whose last event is this one would have expired by now."""
    return now_us - time_us >= spec.retention


def is_ahead(spec: Spec, published_us: int, now_us: int) -> bool:
    """Return whether a publish time is further ahead of the wall clock than clocks differ."""
    return published_us - now_us > max(spec.max_clock_skew, LEAST_TOLERANCE_US)


def times_of(spec: Spec, arrival: Arrival) -> tuple[int, int]:
    """Return (event time, publish time) of a valid event, microseconds UTC."""
    time_us = arrival.time_us(spec.events.time)
    return time_us, _published_us(spec, arrival, time_us)


def clocks_of(spec: Spec, arrival: Arrival) -> tuple[int, int] | None:
    """Return (event time, publish time) of an arrival that is a valid event, None of any other."""
    event = arrival.event
    if event is None or arrival.reason is not None:
        return None
    if not _is_valid(spec, arrival, used_fields(spec)):
        return None
    return times_of(spec, arrival)


def _is_valid(spec: Spec, arrival: Arrival, used: Sequence[str]) -> bool:
    event = arrival.event or {}
    for name in (spec.events.user, spec.events.id):
        text = event.get(name)
        if isinstance(text, bool) or not isinstance(text, str | int):
            return False
        if not 1 <= len(id_of(text).encode()) <= MAX_ID_BYTES:
            return False
    times = [spec.events.time]
    published = spec.events.published
    if arrival.published_us is None and published is not None and event.get(published) is not None:
        times.append(published)
    for name in times:
        time = arrival.time(name)
        if isinstance(time, bool) or not isinstance(time, int | datetime.datetime):
            return False
        if not FIRST_TIME_US <= arrival.time_us(name) < END_TIME_US:
            return False
    if any(event.get(embedding.of) == "" for embedding in spec.embeddings.values()):
        return False
    if any(not _is_number(event.get(name)) for name in _number_fields(spec)):
        return False
    kept_whole = {name for sequence in spec.sequences.values() for name in sequence.fields}
    for name in used:
        value = event.get(name)
        if isinstance(value, list) and not _is_short(value, name in kept_whole):
            return False
        if not all(map(_is_plain, value if isinstance(value, list) else [value])):
            return False
    return True


def _is_plain(value: Any) -> bool:
    """Return whether a record may hold a value."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, str):
        return len(value.encode()) <= MAX_TEXT_BYTES
    if isinstance(value, int):
        return LEAST_INT < value <= MOST_INT
    return value is None or isinstance(value, datetime.datetime)


def _is_short(values: list[Any], kept_whole: bool) -> bool:
    """Return whether a list may be in an event: by how many values it has, and as JSON, if a sequence keeps it."""
    if len(values) > MAX_LIST_VALUES:
        return False
    # What is no number or text is refused for that reason.
    return not kept_whole or not all(map(_is_plain, values)) or len(as_json(values).encode()) <= MAX_TEXT_BYTES


def as_json(values: list[Any]) -> str:
    """Return a list as records have it."""
    listed = [int(value) if isinstance(value, bool) else plain(value) for value in values]
    return json.dumps(listed, ensure_ascii=False, separators=(",", ":"))


def _is_number(value: Any) -> bool:
    return value is None or not isinstance(value, str) or isinstance(value, TextOrNumber)


def _number_fields(spec: Spec) -> list[str]:
    """Return the event fields that numbers are asked of."""
    asking: list[tuple[str, str | None]] = []
    for feature in spec.features.values():
        asking += [(aggregate, feature.of) for aggregate in feature.aggregate]
        parts = (feature.numerator, feature.denominator)
        asking += [(part.aggregate, part.of) for part in parts if part is not None]
    return [of for aggregate, of in asking if of is not None and _asks_numbers(aggregate)]


def _asks_numbers(aggregate: str) -> bool:
    known = AGGREGATIONS.get(aggregate)
    return known is not None and bool(known.of) and "string" not in known.of


def id_of(value: Any) -> str:
    """Return the text of a user, an event id or an item."""
    return str(value)


def used_fields(spec: Spec) -> list[str]:
    """Return the event fields that any output reads, besides user, id and time."""
    names: list[str] = []
    for feature in spec.features.values():
        names += feature.where.fields
        names += [feature.of] if feature.of is not None else []
        names += feature.with_
        for part in (feature.numerator, feature.denominator):
            if part is not None:
                names += [*part.where.fields, *([part.of] if part.of is not None else [])]
        names += feature.by
    for sequence in spec.sequences.values():
        names += [*sequence.where.fields, *sequence.fields]
    for embedding in spec.embeddings.values():
        names += EMBEDDINGS[embedding.kind].fields(embedding)
    return sorted(set(names))


def _is_wanted(spec: Spec, event: Mapping[str, Any]) -> bool:
    for feature in spec.features.values():
        if matches(event, feature.where) and has(event, feature.of):
            for aggregate in feature.aggregate:
                known = AGGREGATES[aggregate]
                if known.takes is not None:
                    if known.takes(feature, event):
                        return True
                elif all(event.get(field) is not None for field in known.fields(feature)):
                    return True
    for sequence in spec.sequences.values():
        if matches(event, sequence.where):
            return True
    return any(EMBEDDINGS[embedding.kind].takes(embedding, event) for embedding in spec.embeddings.values())


def _published_us(spec: Spec, arrival: Arrival, time_us: int) -> int:
    """Return the message's publish time, else the event's `published` field, else the event time."""
    if arrival.published_us is not None:
        return arrival.published_us
    published = spec.events.published
    if published is not None and (arrival.event or {}).get(published) is not None:
        return arrival.time_us(published)
    return time_us


def _xxh64(text: str) -> int:
    return xxhash.xxh64_intdigest(text.encode(), seed=0)
