"""Brute force: what every event's fate and every feature's value must be, worked out the obvious way.

This is the independent reference the pipeline is checked against. It shares nothing with `user_state.core`, `codec`,
`store` or `fold` but the spec, keeps every event as the dict it arrived as, and loops over lists. It is meant to be
read and believed, not to be fast, and must not borrow a formula or a constant from the code it checks.

    replay    judges messages in order, one at a time, by the rules in docs/design/layers.md
    features  computes one user's features at one moment from the events that were applied

Two things it does not model: `seen_ids_cap` (memory is no limit here, so keep test users below the cap) and the
server's own expiry, which ends a whole record `retention` after its last event.
An event id is remembered while its event would not be `too_late` itself, so a copy that comes after that is
`too_late` and not `duplicate`. Which of the two it is changes no feature.
"""

from __future__ import annotations

import datetime
import functools
import itertools
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash

from user_state.durations import parse_duration_us
from user_state.spec.model import LIFETIME, Embedding, Feature, Scalar, Spec

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
MICROSECOND = datetime.timedelta(microseconds=1)
FIRST_TIME_US = 31_536_000 * 1_000_000
"""1971-01-01T00:00:00Z, the first event time accepted."""
END_TIME_US = 4_102_444_800 * 1_000_000
"""2100-01-01T00:00:00Z, the first event time no longer accepted."""
MAX_ID_BYTES = 1024
MAX_TEXT_BYTES = 65_535
LEAST_INT = -(2**63)
"""No value of an integer field that is used: records hold it for null."""
TILE_WIDTHS = ("1s", "5s", "10s", "30s", "1m", "5m", "10m", "30m", "1h", "3h", "6h", "12h", "1d")
"""The tile widths a window may get by default, as documented for the spec, narrowest first."""


@dataclass(frozen=True)
class Arrival:
    """One message as it arrived.

    Attributes:
        event: the decoded event, times as integer microseconds or datetimes; None if there is none.
        published_us: the message's publish time in microseconds UTC; None if the input knows none.
        reason: why there is no event, `undecodable` if not said; set beside an event, it overrules it.
    """

    event: Mapping[str, Any] | None
    published_us: int | None = None
    reason: str | None = None


@dataclass(frozen=True)
class AppliedEvent:
    """One event that counts, with what ordering and clocks need; times in microseconds UTC."""

    time_us: int
    id_hash: int
    published_us: int
    event: Mapping[str, Any]


@dataclass(frozen=True)
class Replay:
    """What became of every message.

    Attributes:
        applied: each user's applied events, in order of arrival.
        bins: the bin of every arrival, in order: applied, duplicate, ignored or dead_letter/<reason>.
        counts: arrivals by bin; applied, duplicate and ignored are always there.
    """

    applied: dict[str, list[AppliedEvent]]
    bins: list[str]
    counts: dict[str, int]


@dataclass(frozen=True)
class Expected:
    """One user's features at one moment, by output name; sequences are field -> values, newest first."""

    scalars: dict[str, float]
    sequences: dict[str, list[Any] | dict[str, list[Any]]]
    embeddings: dict[str, npt.NDArray[np.float64]]


def replay(spec: Spec, arrivals: Iterable[Arrival]) -> Replay:
    """Return the fate of every arrival, judged one message at a time in the order given."""
    applied: dict[str, list[AppliedEvent]] = {}
    clock_us: dict[str, int] = {}
    # user -> event id -> event time, for every id ever applied; whether it is still remembered is asked when it matters
    times_us: dict[str, dict[str, int]] = {}
    used = _used_fields(spec)
    bins = []
    for arrival in arrivals:
        event = arrival.event
        if event is None or arrival.reason is not None:
            bins.append(f"dead_letter/{arrival.reason or 'undecodable'}")
            continue
        if not _is_valid(spec, event, used, arrival.published_us is None):
            bins.append("dead_letter/invalid")
            continue
        if not _is_wanted(spec, event):
            bins.append("ignored")
            continue
        time_us = microseconds(event[spec.events.time])
        published_us = _published_us(spec, arrival, time_us)
        if time_us > published_us + spec.max_clock_skew:
            bins.append("dead_letter/from_future")
            continue
        if time_us < published_us - spec.allowed_lateness:
            bins.append("dead_letter/too_late")
            continue
        user, event_id = event[spec.events.user], event[spec.events.id]
        seen = times_us.setdefault(user, {})
        horizon_us = clock_us.get(user, published_us) - spec.allowed_lateness
        if event_id in seen and seen[event_id] >= horizon_us:
            bins.append("duplicate")
            continue
        if time_us < horizon_us:
            bins.append("dead_letter/too_late")
            continue
        seen[event_id] = time_us
        clock_us[user] = max(clock_us.get(user, published_us), published_us)
        applied.setdefault(user, []).append(AppliedEvent(time_us, _xxh64(event_id), published_us, event))
        bins.append("applied")
    counts = Counter({"applied": 0, "duplicate": 0, "ignored": 0})
    counts.update(bins)
    return Replay(applied, bins, dict(counts))


def features(spec: Spec, applied_events: Iterable[AppliedEvent], at_us: int) -> Expected:
    """Return the features at `at_us` (microseconds UTC) of the one user who did `applied_events`, in any order."""
    events = sorted(applied_events, key=lambda e: (e.time_us, e.id_hash))
    scalars: dict[str, float] = {}
    sequences: dict[str, list[Any] | dict[str, list[Any]]] = {}
    embeddings: dict[str, npt.NDArray[np.float64]] = {}

    for name, feature in spec.features.items():
        matching = [e for e in events if _matches(e.event, feature.where)]
        for aggregate in feature.aggregate:
            if aggregate.startswith("decayed"):
                for half_life in feature.half_life:
                    scalars[f"{name}_{aggregate}_{half_life}"] = _decayed(
                        feature, aggregate, half_life, matching, at_us
                    )
                continue
            for window in feature.windows:
                start_us = _window_start_us(spec, window, at_us)
                inside = [e for e in matching if start_us is None or e.time_us >= start_us]
                output = f"{name}_{aggregate}_{window}"
                if aggregate == "last_k":
                    sequences[output] = _last_k(feature, inside)
                elif aggregate in ("recency", "first_seen", "gap_mean"):
                    scalars[output] = _time_aggregate(feature, aggregate, [e.time_us for e in inside], at_us)
                else:
                    scalars[output] = _aggregate(feature, aggregate, inside)

    for name, sequence in spec.sequences.items():
        matching = [e for e in events if _matches(e.event, sequence.where)]
        if sequence.within is not None:
            matching = [e for e in matching if e.time_us >= at_us - sequence.within]
        newest_first = matching[::-1][: sequence.last]
        sequences[name] = {f: [_plain(e.event.get(f)) for e in newest_first] for f in sequence.fields}

    for name, embedding in spec.embeddings.items():
        for half_life in embedding.half_life:
            embeddings[f"{name}_{half_life}"] = _decayed_mean(embedding, parse_duration_us(half_life), events)
    return Expected(scalars, sequences, embeddings)


@functools.lru_cache(maxsize=20_000)
def item_vector(item: str, dimensions: int) -> npt.NDArray[np.float64]:
    """Return the unit vector of `item`: component j is +-1/sqrt(D), by bit j mod 64 of xxh64(item, seed j // 64).

    >>> item_vector("a", 4)
    array([ 0.5,  0.5, -0.5,  0.5])
    """
    vector = np.empty(dimensions)
    word = 0
    for j in range(dimensions):
        if j % 64 == 0:
            word = xxhash.xxh64_intdigest(item.encode(), seed=j // 64)
        vector[j] = (1.0 if word >> (j % 64) & 1 else -1.0) / math.sqrt(dimensions)
    vector.flags.writeable = False  # it is cached, so nobody may change it
    return vector


def microseconds(time: int | datetime.datetime) -> int:
    """Return a time in microseconds UTC; a datetime without a zone is UTC, as Avro's are."""
    if not isinstance(time, datetime.datetime):
        return time
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.UTC)
    return (time - EPOCH) // MICROSECOND


# What is a valid event, and who wants it


def _is_valid(spec: Spec, event: Mapping[str, Any], used: Sequence[str], needs_published: bool) -> bool:
    for name in (spec.events.user, spec.events.id):
        text = event.get(name)
        if not isinstance(text, str) or not 1 <= len(text.encode()) <= MAX_ID_BYTES:
            return False
    times = [event.get(spec.events.time)]
    if needs_published and spec.events.published is not None and event.get(spec.events.published) is not None:
        times.append(event[spec.events.published])
    for time in times:
        if isinstance(time, bool) or not isinstance(time, int | datetime.datetime):
            return False
        if not FIRST_TIME_US <= microseconds(time) < END_TIME_US:
            return False
    for name in used:
        value = event.get(name)
        if isinstance(value, float) and not math.isfinite(value):
            return False
        if isinstance(value, str) and len(value.encode()) > MAX_TEXT_BYTES:
            return False
        if isinstance(value, int) and value == LEAST_INT:
            return False
    return True


def _used_fields(spec: Spec) -> list[str]:
    """Return the event fields that any output reads, besides user, id and time."""
    names: list[str] = []
    for feature in spec.features.values():
        names += feature.where
        names += [feature.of] if feature.of is not None else []
    for sequence in spec.sequences.values():
        names += [*sequence.where, *sequence.fields]
    for embedding in spec.embeddings.values():
        names.append(embedding.of)
        names += [embedding.weight_field] if embedding.weights is not None else []
    return sorted(set(names))


def _is_wanted(spec: Spec, event: Mapping[str, Any]) -> bool:
    for feature in spec.features.values():
        if _matches(event, feature.where):
            if not {"count", "recency", "first_seen", "gap_mean", "decayed_count"}.isdisjoint(feature.aggregate):
                return True
            if feature.of is not None and event.get(feature.of) is not None:
                return True
    for sequence in spec.sequences.values():
        if _matches(event, sequence.where):
            return True
    return any(_weight(embedding, event) is not None for embedding in spec.embeddings.values())


def _matches(event: Mapping[str, Any], where: Mapping[str, list[Scalar]]) -> bool:
    for field, accepted in where.items():
        value = event.get(field)
        # Python holds True == 1, a spec does not
        if value is None or not any(value == a and isinstance(value, bool) == isinstance(a, bool) for a in accepted):
            return False
    return True


def _published_us(spec: Spec, arrival: Arrival, time_us: int) -> int:
    """Return the message's publish time, else the event's `published` field, else the event time."""
    if arrival.published_us is not None:
        return arrival.published_us
    if spec.events.published is not None and arrival.event is not None:
        published = arrival.event.get(spec.events.published)
        if published is not None:
            return microseconds(published)
    return time_us


# What the features are


def _window_start_us(spec: Spec, window: str, at_us: int) -> int | None:
    """Return floor(at - W, h) in microseconds UTC; None for `lifetime`, which starts nowhere."""
    if window == LIFETIME:
        return None
    window_us = parse_duration_us(window)
    if window in spec.tiles:
        width_us = parse_duration_us(spec.tiles[window])
    else:
        widths_us = [parse_duration_us(width) for width in TILE_WIDTHS]
        width_us = max(w for w in widths_us if w * 48 <= window_us and window_us % w == 0)
    return (at_us - window_us) // width_us * width_us


def _aggregate(feature: Feature, aggregate: str, inside: Sequence[AppliedEvent]) -> float:
    """Return an aggregation of the matching events `inside` the window."""
    if aggregate == "count":
        values = [1.0 for _ in inside]
    else:
        assert feature.of is not None  # noqa: S101  # the model demands it of sum and mean
        found = [e.event.get(feature.of) for e in inside]
        values = [float(value) for value in found if value is not None]
    if not values and feature.default is not None:
        return feature.default
    if aggregate in ("count", "sum"):
        return _total(values)
    if not values:
        return math.nan
    match aggregate:
        case "mean":
            return _total(values) / len(values)
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "variance":
            return _central_moment(values, 2)
        case "stddev":
            return math.sqrt(_central_moment(values, 2))
        case "skew":
            variance = _central_moment(values, 2)
            return _central_moment(values, 3) / variance**1.5 if variance > 0 else 0.0
        case "kurtosis":
            variance = _central_moment(values, 2)
            return _central_moment(values, 4) / variance**2 - 3 if variance > 0 else 0.0
    raise ValueError(f"no such aggregation: {aggregate}")


def _time_aggregate(feature: Feature, aggregate: str, times_us: Sequence[int], at_us: int) -> float:
    """Return seconds since the last or first of the times, or the mean gap between them; `times_us` ascend."""
    if len(times_us) < (2 if aggregate == "gap_mean" else 1):
        return math.nan if feature.default is None else feature.default
    if aggregate == "gap_mean":
        gaps = [later - earlier for earlier, later in itertools.pairwise(times_us)]
        return sum(gaps) / len(gaps) / 1e6
    since_us = times_us[-1] if aggregate == "recency" else times_us[0]
    return max(at_us - since_us, 0) / 1e6


def _decayed(feature: Feature, aggregate: str, half_life: str, matching: Sequence[AppliedEvent], at_us: int) -> float:
    """Return the sum of 2^(-age / half-life) over the matching events, times the field for `decayed_sum`."""
    terms = []
    for event in matching:
        amount = 1.0
        if aggregate == "decayed_sum":
            assert feature.of is not None  # noqa: S101  # the model demands it
            value = event.event.get(feature.of)
            if value is None:
                continue
            amount = float(value)
        terms.append(amount * 2.0 ** (-(at_us - event.time_us) / parse_duration_us(half_life)))
    if not terms:
        return 0.0 if feature.default is None else feature.default
    return _total(terms)


def _central_moment(values: Sequence[float], order: int) -> float:
    if min(values) == max(values):
        return 0.0  # their mean, rounded, might differ from them
    mean = _total(values) / len(values)
    return _total([(value - mean) ** order for value in values]) / len(values)


def _total(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        return sum(values)


def _last_k(feature: Feature, inside: Sequence[AppliedEvent]) -> list[Any]:
    assert feature.of is not None  # noqa: S101  # the model demands both of last_k
    assert feature.k is not None  # noqa: S101
    found = [_plain(e.event.get(feature.of)) for e in reversed(inside)]
    return [value for value in found if value is not None][: feature.k]


def _weight(embedding: Embedding, event: Mapping[str, Any]) -> float | None:
    """Return what the event weighs in the embedding, None if it has no part in it."""
    if event.get(embedding.of) is None:
        return None
    if embedding.weights is None:
        return 1.0
    value = event.get(embedding.weight_field)
    return embedding.weights.get(value) if isinstance(value, str) else None


def _decayed_mean(embedding: Embedding, half_life_us: int, events: Sequence[AppliedEvent]) -> npt.NDArray[np.float64]:
    """Return sum(w 2^-(age/H) v) / sum(|w| 2^-(age/H)), zeros if no event has a part in it.

    Ages are measured from the newest such event instead of from the moment of reading: that scales both sums alike,
    so it changes nothing, and a user who was away for years does not become 0/0.
    """
    parts = [(e, w) for e in events if (w := _weight(embedding, e.event)) is not None]
    above = np.zeros(embedding.dimensions)
    if not parts:
        return above
    newest_us = max(e.time_us for e, _ in parts)
    below = 0.0
    for e, weight in parts:
        decay = 2.0 ** (-(newest_us - e.time_us) / half_life_us)
        above += weight * decay * item_vector(str(e.event[embedding.of]), embedding.dimensions)
        below += abs(weight) * decay
    return above / below


# Plain values


def _plain(value: Any) -> Any:
    return microseconds(value) if isinstance(value, datetime.datetime) else value


def _xxh64(text: str) -> int:
    return xxhash.xxh64_intdigest(text.encode(), seed=0)
