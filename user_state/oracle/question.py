"""What one output of a feature is computed from, and how the files beside this one say that they can."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from user_state.durations import parse_duration_us
from user_state.oracle.events import AppliedEvent, plain
from user_state.spec.model import Feature, Spec
from user_state.spec.values import LIFETIME

TILE_WIDTHS = ("1s", "5s", "10s", "30s", "1m", "5m", "10m", "30m", "1h", "3h", "6h", "12h", "1d")
"""The tile widths a window may get by default, as documented for the spec, narrowest first."""


@dataclass(frozen=True)
class Question:
    """One output of one user at one moment.

    Attributes:
        spec, feature: what was declared.
        matching: the user's applied events that pass the feature's filter, ordered by (time, id hash).
        over: the window or half-life, as it is written.
        at_us: the reading time.
    """

    spec: Spec
    feature: Feature
    matching: Sequence[AppliedEvent]
    over: str
    at_us: int

    @property
    def start_us(self) -> int | None:
        """The first microsecond of the window; None for lifetime, which starts nowhere."""
        return window_start_us(self.spec, self.over, self.at_us)

    @property
    def inside(self) -> list[AppliedEvent]:
        """The matching events inside the window."""
        start_us = self.start_us
        return [e for e in self.matching if start_us is None or e.time_us >= start_us]

    @property
    def half_life_us(self) -> int:
        """The half-life in microseconds."""
        return parse_duration_us(self.over)

    def values(self, events: Sequence[AppliedEvent]) -> list[float]:
        """Return the numbers in the feature's field, nulls left out."""
        assert self.feature.of is not None  # noqa: S101  # the model demands it
        found = [e.event.get(self.feature.of) for e in events]
        return [float(value) for value in found if value is not None]

    def different(self, events: Sequence[AppliedEvent]) -> set[Any]:
        """Return the different values of the feature's field, nulls left out; of a list each of its values."""
        assert self.feature.of is not None  # noqa: S101  # the model demands it
        found = [e.event.get(self.feature.of) for e in events]
        listed = [value if isinstance(value, list) else [value] for value in found]
        return {plain(value) for values in listed for value in values} - {None}

    def or_default(self, empty: float) -> float:
        """Return what an output over nothing is: the feature's default, else `empty`."""
        return empty if self.feature.default is None else self.feature.default


@dataclass(frozen=True)
class Aggregate:
    """An aggregation the oracle knows.

    Attributes:
        answer: the output's value: a number, an array of numbers, a list, or a dict of lists by column.
        fields: the event fields that must not be null for an event to have a part in it.
    """

    answer: Callable[[Question], Any]
    fields: Callable[[Feature], list[str]]
    takes: Callable[[Feature, Mapping[str, Any]], bool] | None = None
    """Whether an event that passes the feature's filter has a part in it, where `fields` cannot say."""
    bounds: Callable[[Question], tuple[Any, Any] | None] | None = None
    """The least and the greatest value that a reader may be given for it; None, or of None, if it is exact."""
    accepts: Callable[[Question, Any], bool] | None = None
    """Whether another list than the answer may be given for it; None if there is no other."""


def of_events(_feature: Feature) -> list[str]:
    """Return the fields an aggregation of events alone needs: none."""
    return []


def of_field(feature: Feature) -> list[str]:
    """Return the one field an aggregation of a field needs."""
    assert feature.of is not None  # noqa: S101  # the model demands it
    return [feature.of]


def window_start_us(spec: Spec, window: str, at_us: int) -> int | None:
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


def total(values: Sequence[float]) -> float:
    """Return the exactly rounded sum; infinite where doubles end."""
    try:
        return math.fsum(values)
    except OverflowError:
        return sum(values)
