"""Aggregations by key by brute force: tables of the heaviest keys, and entropy, of every key there is.

A record keeps a bounded number of keys a tile, and is exact as long as no tile has more; here every key is kept.
`crowded.py` says what else is right where a window has more.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from user_state.oracle.crowded import Crowd, of_the_keys_values
from user_state.oracle.events import AppliedEvent, plain
from user_state.oracle.question import Aggregate, Question, total
from user_state.spec.model import Feature

Key = tuple[Any, ...]


def _by_key(feature: Feature, events: Sequence[AppliedEvent], *needed: str) -> dict[Key, list[AppliedEvent]]:
    """Return the events that have the key's fields, and the needed ones, by key; each value of an array is a key."""
    found: dict[Key, list[AppliedEvent]] = {}
    for event in events:
        if all(event.event.get(field) is not None for field in (*feature.by, *needed)):
            for key in itertools.product(*(_parts(event.event[field]) for field in feature.by)):
                found.setdefault(key, []).append(event)
    return found


def _parts(value: Any) -> list[Any]:
    return list(map(plain, value)) if isinstance(value, list) else [plain(value)]


def _listed(feature: Feature, heaviness: Mapping[Key, float]) -> list[Key]:
    """Return the keys to list: the heaviest first, as far as single precision can tell; equal ones by key."""
    with np.errstate(over="ignore"):
        rounded = {key: float(np.float32(heavy)) for key, heavy in heaviness.items()}
    return sorted(heaviness, key=lambda key: (-rounded[key], key))[: _most_listed(feature)]


def _kept(feature: Feature) -> int:
    return 64 if feature.keys is None else feature.keys


def _most_listed(feature: Feature) -> int:
    return min(10 if feature.k is None else feature.k, _kept(feature))


def _columns(feature: Feature, keys: Sequence[Key]) -> dict[str, list[Any]]:
    return {field: [key[place] for key in keys] for place, field in enumerate(feature.by)}


def _sums(asked: Question, by_key: dict[Key, list[AppliedEvent]]) -> dict[Key, float]:
    return {key: total(asked.values(events)) for key, events in by_key.items()}


def _count_by(asked: Question) -> dict[str, list[Any]]:
    counts = {key: len(events) for key, events in _by_key(asked.feature, asked.inside).items()}
    keys = _listed(asked.feature, counts)
    return {**_columns(asked.feature, keys), "count": [counts[key] for key in keys]}


def _share_by(asked: Question) -> dict[str, list[Any]]:
    counts = {key: len(events) for key, events in _by_key(asked.feature, asked.inside).items()}
    keys = _listed(asked.feature, counts)
    return {**_columns(asked.feature, keys), "share": [counts[key] / sum(counts.values()) for key in keys]}


def _of_field_by(number: str, finish: Callable[[float, int], float]) -> Aggregate:
    """Return the table whose number is `finish` of a key's sum and count; the keys are listed by count."""

    def answer(asked: Question) -> dict[str, list[Any]]:
        by_key = _by_key(asked.feature, asked.inside, *_of(asked.feature))
        sums = _sums(asked, by_key)
        keys = _listed(asked.feature, {key: len(events) for key, events in by_key.items()})
        numbers = [finish(sums[key], len(by_key[key])) for key in keys]
        return {**_columns(asked.feature, keys), number: numbers}

    return Aggregate(answer, lambda feature: [*feature.by, *_of(feature)], accepts=_accepts_numbers(number))


def _top_k(asked: Question) -> list[Any] | dict[str, list[Any]]:
    by_key = _by_key(asked.feature, asked.inside, *_measured(asked.feature))
    counts = {key: float(len(events)) for key, events in by_key.items()}
    if asked.feature.measure == "sum":
        heaviness = _sums(asked, by_key)
    elif asked.feature.measure == "mean":
        heaviness = {key: value / counts[key] for key, value in _sums(asked, by_key).items()}
    else:
        heaviness = counts
    columns = _columns(asked.feature, _listed(asked.feature, heaviness))
    return columns if len(columns) > 1 else columns[asked.feature.by[0]]


def _entropy_by(asked: Question) -> float:
    counts = [len(events) for events in _by_key(asked.feature, asked.inside).values()]
    if not counts:
        return asked.or_default(0.0)
    shares = [count / sum(counts) for count in counts]
    return abs(math.fsum(share * math.log(share) for share in shares))


def _decayed_count_by(asked: Question) -> dict[str, list[Any]]:
    """Ages are measured from the newest event for the order, since far in the future all counts are nothing."""
    by_key = _by_key(asked.feature, asked.matching)
    newest_us = max((event.time_us for events in by_key.values() for event in events), default=0)
    seen = {key: _decayed(events, newest_us, asked.half_life_us) for key, events in by_key.items()}
    keys = _listed(asked.feature, {key: count for key, count in seen.items() if count >= 1e-290})
    counts = [_decayed(by_key[key], asked.at_us, asked.half_life_us) for key in keys]
    return {**_columns(asked.feature, keys), "count": counts}


def _decayed(events: Sequence[AppliedEvent], at_us: int, half_life_us: int) -> float:
    return total([2.0 ** (-(at_us - event.time_us) / half_life_us) for event in events])


def _crowd(feature: Feature, weights: Mapping[Key, float]) -> Crowd:
    return Crowd(weights, _kept(feature), _most_listed(feature))


def _counted(asked: Question, *needed: str) -> Crowd:
    counts = {key: float(len(events)) for key, events in _by_key(asked.feature, asked.inside, *needed).items()}
    return _crowd(asked.feature, counts)


def _keys_of(feature: Feature, table: Mapping[str, Sequence[Any]]) -> list[Key]:
    return list(zip(*(table[field] for field in feature.by), strict=True))


def _accepts_counts(asked: Question, table: Any) -> bool:
    return _counted(asked).may_list(_keys_of(asked.feature, table), table["count"])


def _accepts_shares(asked: Question, table: Any) -> bool:
    crowd = _counted(asked)
    total_count = math.fsum(crowd.weights.values())
    return crowd.may_list(_keys_of(asked.feature, table), [share * total_count for share in table["share"]])


def _accepts_numbers(number: str) -> Callable[[Question, Any], bool]:
    def accepts(asked: Question, table: Any) -> bool:
        by_key = _by_key(asked.feature, asked.inside, *_of(asked.feature))
        may_be = of_the_keys_values({key: asked.values(events) for key, events in by_key.items()}, number == "sum")
        keys = _keys_of(asked.feature, table)
        crowd = _crowd(asked.feature, {key: float(len(events)) for key, events in by_key.items()})
        return crowd.may_list(keys, None) and all(map(may_be, keys, table[number]))

    return accepts


def _accepts_heaviest(asked: Question, table: Any) -> bool:
    keys = [(key,) for key in table] if isinstance(table, list) else _keys_of(asked.feature, table)
    crowd = _counted(asked, *_measured(asked.feature))
    return crowd.may_name(keys) if _measured(asked.feature) else crowd.may_list(keys, None)


def _accepts_decayed(asked: Question, table: Any) -> bool:
    by_key = _by_key(asked.feature, asked.matching)
    weights = {key: _decayed(events, asked.at_us, asked.half_life_us) for key, events in by_key.items()}
    return _crowd(asked.feature, weights).may_list(_keys_of(asked.feature, table), table["count"])


def _bounds_of_entropy(asked: Question) -> tuple[float, float] | None:
    """Forgotten events count as one further key: that hides what they were, and tells of each whether it is one."""
    return (0.0, _entropy_by(asked) + math.log(2)) if _counted(asked).crowded else None


def _of(feature: Feature) -> list[str]:
    return [] if feature.of is None else [feature.of]


def _measured(feature: Feature) -> list[str]:
    return _of(feature) if feature.measure in ("sum", "mean") else []


def _keyed(answer: Callable[[Question], Any], accepts: Callable[[Question, Any], bool]) -> Aggregate:
    return Aggregate(answer, lambda feature: feature.by, accepts=accepts)


KEYED = {
    "count_by": _keyed(_count_by, _accepts_counts),
    "share_by": _keyed(_share_by, _accepts_shares),
    "sum_by": _of_field_by("sum", lambda value, _: value),
    "mean_by": _of_field_by("mean", lambda value, count: value / count),
    "top_k": Aggregate(_top_k, lambda feature: [*feature.by, *_measured(feature)], accepts=_accepts_heaviest),
    "entropy_by": Aggregate(_entropy_by, lambda feature: feature.by, bounds=_bounds_of_entropy),
    "decayed_count_by": _keyed(_decayed_count_by, _accepts_decayed),
}
