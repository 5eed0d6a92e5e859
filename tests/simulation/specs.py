"""The specs that runs of a history may have; one number tells which events a record counts, and how often.

An event's value is 4^k, k being its number among the user's events, so that the lifetime sum, written in base 4, has a
digit for each event: 0 not counted, 1 counted, 2 or 3 counted more than once.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from tests.trying import M, spec_of
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec

MOST_EVENTS = 24
"""Of one user: 4^24 is exact in a float of double precision, which tables of keys have."""
LONG_TEXT = 3_000
MOST_RECORD_BYTES = 2_000
BASE: dict[str, Any] = {
    "features": {
        "total": {"aggregate": "sum_by", "by": "user_id", "of": "value", "windows": ["lifetime"]},
        "hour": {"aggregate": "count", "windows": ["1h"]},
    },
    "sequences": {"recent": {"fields": ["item_id"], "last": 3}},
}
EXTRA: dict[str, Any] = {**BASE["features"]["total"], "where": {"action": "view"}}
WITH_EXTRA = {**BASE, "features": {**BASE["features"], "extra": EXTRA}}
SPECS: dict[str, dict[str, Any]] = {
    "base": {**BASE, "allowed_lateness": "1h"},
    "extra": {**WITH_EXTRA, "allowed_lateness": "1h"},
    "longer": {**BASE, "allowed_lateness": "6h"},
    "shorter": {**BASE, "allowed_lateness": "20m"},
    "extra_longer": {**WITH_EXTRA, "allowed_lateness": "6h"},
}
LEAST_LATENESS_US = 20 * M


class Compiled(NamedTuple):
    """A spec, ready to be run."""

    name: str
    spec: LoadedSpec
    plan: Plan
    decoder: EventDecoder


@cache
def compiled(name: str) -> Compiled:
    """Return one of SPECS."""
    spec = spec_of(**SPECS[name])
    plan = replace(compile_plan(spec), max_record_bytes=MOST_RECORD_BYTES)
    return Compiled(name, spec, plan, EventDecoder(plan, spec.schema))


def digits(total: float) -> list[int]:
    """Return how often each event is counted in a sum of values.

    >>> digits(4.0**2 + 2 * 4.0**5)
    [0, 0, 1, 0, 0, 2]
    """
    number, found = int(total), []
    while number:
        found.append(number % 4)
        number //= 4
    return found
