"""Pieces of state, as settings: what a compiled spec keeps of its events.

    Filter   which events: they meet all of its conditions (conditions.py)
    Track    what tiles add up for one (filter, field): counts, and sums if an output needs them
    Log      the last K matching events (or first, or distinct) with some of their fields, for lists and sequences
    Decay    decayed counts or sums, one a half-life
    Vectors  decayed sums of item vectors, one a half-life
    LastSeen the last second of each distinct value of a field, or of each active day
    Profile  decayed counts by local hour or day of the week, one set a half-life
    HllTrack, KllTrack  sketches of a field in tiles: of its distinct values, of its quantiles
    SessionTrack  sessions of the events that pass a filter, by inactivity gap
    KeyedTrack, KeyedDecay   counts by key in tiles, and decayed counts by key
    GapTrack the longest time between one event and the next, in tiles

Embeddings over a table of item vectors have no piece of their own: they are composed of a log when they are read.

A piece is identified by its `key`, the text of its definition, so that a changed spec recognises what it still has.
Filters and fields are indices into the plan's. `user_state.plan.compile` makes these, the families of
`native/families/registry.hpp` obey them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from user_state.plan.conditions import Condition


@dataclass(frozen=True)
class Field:
    """A value of events that the plan reads: `name` is a field's, or a path; `kind` is string, float, int or bool, or
    strings and so on where an event has a list of them.
    """

    name: str
    kind: str

    @property
    def is_list(self) -> bool:
        """Return whether an event has any number of values."""
        return self.kind.endswith("s")

    @property
    def value_kind(self) -> str:
        """Return the kind of one value."""
        return self.kind.removesuffix("s")


@dataclass(frozen=True)
class Filter:
    """Accepts the events that meet all conditions; with none, every event."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class Window:
    """`reach_s` None is lifetime."""

    text: str
    reach_s: int | None
    width_s: int


@dataclass(frozen=True)
class Track:
    """What tiles hold of the events that pass `filter` and have field `of`, if any: a count and, by kind, numbers."""

    key: str
    kind: str
    filter: int
    of: int | None
    windows: tuple[Window, ...]
    """All that are read from this track; they settle how fine its tiles are (track_axes.py)."""
    between: tuple[int | float, int | float] | None = None
    """Only events whose field is at least the first and less than the second; of a field of whole numbers they are
    whole, or infinite."""


@dataclass(frozen=True)
class Log:
    """Some events that pass `filter` and, if `required` is set, have that field; `keeps` says which.

    last      the last `cap`
    distinct  the last `cap` of those that are the last with their value of `required`
    first     the first `cap` of every tile
    """

    key: str
    keeps: Literal["last", "distinct", "first"]
    filter: int
    required: int | None
    fields: tuple[int, ...]
    cap: int
    reach_us: int | None
    """Events older than this before the clock are read by no output; None keeps all."""
    windows: tuple[Window, ...] = ()
    """All that are read from a log that keeps the first."""


@dataclass(frozen=True)
class Decay:
    """Decayed counts, or sums of field `of`, of the events that pass `filter`, one for each half-life."""

    key: str
    filter: int
    of: int | None
    half_lives_us: tuple[int, ...]


@dataclass(frozen=True)
class Vectors:
    """Decayed weighted sums of the vectors of field `of` of the events that pass `filter`, one for each half-life."""

    key: str
    filter: int
    of: int
    dimensions: int
    half_lives_us: tuple[int, ...]
    weight_field: int | None
    weights: Mapping[str, float] | None
    component_bytes: int
    """How many bytes a record spends on a component: 4 or 2."""
    weighed_by: int | None = None
    """A float field that is the weight; None goes by `weights`."""


@dataclass(frozen=True)
class LearnedItems:
    """A table of item vectors that is learned from pairs of a user's events (user_state/embeddings/pairs.py)."""

    table: str
    log: int
    """Index of the log whose rows a new event is paired with."""
    column: int
    """Of the item, among the log's columns."""
    of: int
    """The same as a field."""
    reach: int
    half_life_us: int
    forget_us: int
    dimensions: int
    spread: int
    """How many records an item is spread over (user_state/embeddings/spread.py)."""


@dataclass(frozen=True)
class LastSeen:
    """When each value of field `of`, or each local day, was last seen among the events that pass `filter`."""

    key: str
    kind: str
    filter: int
    of: int | None
    reach_s: int | None
    """Rows last seen longer than this before the clock are read by no output; None keeps all."""
    cap: int


@dataclass(frozen=True)
class Profile:
    """Decayed counts of the events that pass `filter` by `bins` local hours or weekdays, for each half-life."""

    key: str
    aggregate: str
    filter: int
    bins: int
    half_lives_us: tuple[int, ...]


@dataclass(frozen=True)
class SessionTrack:
    """Sessions of the events that pass `filter`: no more than `gap_us` lies between one event and the next."""

    key: str
    filter: int
    gap_us: int
    horizon: Window | None
    """Begins no later than any finite window read from this track."""
    lifetime: bool


@dataclass(frozen=True)
class HllTrack:
    """The distinct values of field `of` of the events that pass `filter`, in tiles, counted by 2^lg_k registers."""

    key: str
    filter: int
    of: int
    lg_k: int
    windows: tuple[Window, ...]
    """All that are read from this track; they settle how fine its tiles are (track_axes.py)."""


@dataclass(frozen=True)
class KllTrack:
    """The values of field `of` of the events that pass `filter`, in tiles, as KLL sketches of `k`."""

    key: str
    filter: int
    of: int
    k: int
    windows: tuple[Window, ...]
    """All that are read from this track; they settle how fine its tiles are (track_axes.py)."""


@dataclass(frozen=True)
class KeyedTrack:
    """What keyed tiles hold of the events that pass `filter`, have the key fields `by`, and field `of`, if any."""

    key: str
    filter: int
    by: tuple[int, ...]
    of: int | None
    most_keys: int
    """A tile holds no more keys than this."""
    windows: tuple[Window, ...]
    """All that are read from this track; they settle how fine its tiles are (track_axes.py)."""


@dataclass(frozen=True)
class KeyedDecay:
    """Decayed counts by key, at most so many keys, of the events that pass `filter` and have the key fields `by`."""

    key: str
    filter: int
    by: tuple[int, ...]
    half_life_us: int
    most_keys: int
    weight_field: int | None = None
    weights: Mapping[str, float] | None = None


@dataclass(frozen=True)
class GapTrack:
    """The longest time between one and the next of the events that pass `filter`, in tiles."""

    key: str
    filter: int
    windows: tuple[Window, ...]
    """All that are read from this track; they settle how fine its tiles are (track_axes.py)."""
