"""Outputs, as settings: what is read from pieces of state, under which name, and what it is over nothing.

One type for each way of reading; `user_state.plan.compile` makes them, `user_state.reading.features` reads them. Pieces
are indices into the plan's tuples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from user_state.plan.state_definitions import Field, Window


@dataclass(frozen=True)
class ScalarOutput:
    """A number read from a window's tiles."""

    name: str
    aggregate: str
    track: int
    window: Window
    empty: float


@dataclass(frozen=True)
class DecayedOutput:
    """A number read from a decay."""

    name: str
    aggregate: str
    decay: int
    half_life: int
    empty: float


@dataclass(frozen=True)
class RatioOutput:
    """(numerator + weight x rate) / (denominator + weight) of two numbers read from tiles."""

    name: str
    aggregate: str
    numerator: ScalarOutput
    denominator: ScalarOutput
    rate: float
    weight: float
    empty: float


@dataclass(frozen=True)
class LoggedOutput:
    """The number in one field of a log's last (or first) row in a window."""

    name: str
    aggregate: str
    log: int
    column: int
    window: Window
    empty: float


@dataclass(frozen=True)
class LastSeenOutput:
    """A number read from rows of `LastSeen`: how many there are in a window, at most `cap`, or a streak of days."""

    name: str
    aggregate: str
    track: int
    window: Window
    cap: int
    empty: float


@dataclass(frozen=True)
class ProfileOutput:
    """One half-life of a `Profile`."""

    name: str
    aggregate: str
    profile: int
    half_life: int


@dataclass(frozen=True)
class SessionOutput:
    """A number read from the sessions whose last event lies in a window; `track` is an index into `sessions`."""

    name: str
    aggregate: str
    track: int
    window: Window
    empty: float


@dataclass(frozen=True)
class GapOutput:
    """The longest gap between events of a window; `track` is an index into `gaps`."""

    name: str
    aggregate: str
    track: int
    window: Window
    empty: float


@dataclass(frozen=True)
class ApproxDistinctOutput:
    """A number of distinct values; `track` is an index into `hlls`, `error` the relative standard error."""

    name: str
    aggregate: str
    track: int
    window: Window
    error: float
    empty: float


@dataclass(frozen=True)
class ApproxQuantilesOutput:
    """Quantiles as an array; `track` is an index into `klls`, `error` the rank error, as a share of all values."""

    name: str
    aggregate: str
    track: int
    window: Window
    quantiles: tuple[float, ...]
    error: float
    empty: float


@dataclass(frozen=True)
class StackedOutput:
    """Several numbers read from tiles as one array; `labels` (parts,) say what each of them is."""

    name: str
    aggregate: str
    parts: tuple[ScalarOutput, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class ListOutput:
    """A `last_k`, `first_k` or `last_distinct_k`: one field or several side by side, within a window."""

    name: str
    aggregate: str
    log: int
    columns: tuple[int, ...]
    fields: tuple[Field, ...]
    k: int
    window: Window


@dataclass(frozen=True)
class EntropyOutput:
    """The entropy of a keyed track's counts in a window."""

    name: str
    aggregate: str
    track: int
    window: Window
    empty: float


@dataclass(frozen=True)
class TableOutput:
    """The `k` heaviest keys of a keyed track in a window, with the number `shown` ("" for none) beside each."""

    name: str
    track: int
    k: int
    shown: str
    measure: str
    """What makes a key heavy: count, sum or mean."""
    window: Window


@dataclass(frozen=True)
class DecayedTableOutput:
    """The `k` heaviest keys of a keyed decay, with the decayed count of each, and its share of all if `share`."""

    name: str
    decay: int
    k: int
    share: bool = False


@dataclass(frozen=True)
class SequenceOutput:
    """A named sequence: several fields side by side."""

    name: str
    log: int
    columns: tuple[int, ...]
    fields: tuple[Field, ...]
    last: int
    within_us: int | None


@dataclass(frozen=True)
class EmbeddingOutput:
    """One half-life of a `Vectors`: its mean or its sum, or its direction if `unit`."""

    name: str
    vectors: int
    half_life: int
    dimensions: int
    of: Literal["mean", "sum"]
    unit: bool


@dataclass(frozen=True)
class History:
    """The last `last` rows of a log, as embeddings over a table read them: columns of the item and of what weighs."""

    log: int
    item: int
    weight: int | None
    weights: tuple[tuple[str, float], ...] | None
    last: int


@dataclass(frozen=True)
class ComposedOutput:
    """A decayed mean or sum, or its direction if `unit`, of the vectors that a table has of the last items."""

    name: str
    history: History
    table: str
    dimensions: int
    half_life_us: int
    read: Literal["mean", "sum"]
    unit: bool


@dataclass(frozen=True)
class FoldInOutput:
    """The user's factor, given a table of item factors."""

    name: str
    history: History
    table: str
    dimensions: int
    half_life_us: int
    alpha0: float
    regularisation: float


@dataclass(frozen=True)
class InterestsOutput:
    """At most `most` centroids of the vectors that a table has of the last items."""

    name: str
    history: History
    table: str
    dimensions: int
    half_life_us: int
    most: int
    threshold: float


@dataclass(frozen=True)
class InterestWeightsOutput:
    """What the centroids of `of` weigh."""

    name: str
    aggregate: str
    of: InterestsOutput


AnyScalar = (
    ScalarOutput
    | DecayedOutput
    | RatioOutput
    | LoggedOutput
    | LastSeenOutput
    | SessionOutput
    | GapOutput
    | ApproxDistinctOutput
    | EntropyOutput
)
"""A number a user."""
AnyArray = StackedOutput | ProfileOutput | ApproxQuantilesOutput | InterestWeightsOutput
"""Numbers a user, as many for each."""
AnyList = ListOutput | TableOutput | DecayedTableOutput
"""A list a user, from a window or a half-life."""
AnyComposed = ComposedOutput | FoldInOutput | InterestsOutput
"""A vector or several a user, of a table's vectors."""
AnyEmbedding = EmbeddingOutput | AnyComposed
"""A vector or several a user."""
