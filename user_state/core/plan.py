"""A spec compiled into what the core executes: filters, pieces of state, and the outputs read from them.

    Filter   which events: every named field has one of its accepted values
    Track    what tiles add up for one (filter, field): counts, and sums if an output needs them
    Log      the last K matching events (or first, or distinct) with some of their fields, for lists and sequences
    Decay    decayed counts or sums, one a half-life
    Vectors  decayed sums of item vectors, one a half-life
    LastSeen the last second of each distinct value of a field, or of each active day
    Profile  decayed counts by local hour or day of the week, one set a half-life
    HllTrack, KllTrack  sketches of a field in tiles: of its distinct values, of its quantiles
    SessionTrack  sessions of the events that pass a filter, by inactivity gap
    KeyedTrack, KeyedDecay   counts by key in tiles, and decayed counts by key

Embeddings over a table of item vectors have no piece of their own: they are composed of a log when they are read.

Outputs that can share a piece of state do: three aggregations of one filter and field over five windows are one
track. A piece is identified by its `key`, the text of its definition, so that a changed spec recognises what it still
has. These are settings: `user_state.core.compile` makes them, the families of `user_state.core.families` obey them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from user_state.core.layout import Layout
from user_state.core.local_time import LocalTime
from user_state.core.time_axis import TimeAxis
from user_state.core.track_axes import TrackAxes
from user_state.spec.values import Scalar


@dataclass(frozen=True)
class Field:
    """An event field the plan reads; `kind` is string, float, int or bool."""

    name: str
    kind: str


@dataclass(frozen=True)
class Filter:
    """Accepted values by index into `Plan.fields`; no conditions accept every event."""

    conditions: tuple[tuple[int, frozenset[Scalar]], ...]


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
    between: tuple[float, float] | None = None
    """Only events whose field is at least the first and less than the second."""


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
    """A table of item vectors that is learned from pairs of a user's events (user_state/core/pairs.py)."""

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


@dataclass(frozen=True)
class Plan:
    """Everything the core executes for one spec."""

    name: str
    user_field: str
    id_field: str
    time_field: str
    time_unit_us: int
    published_field: str | None
    published_unit_us: int
    allowed_lateness_us: int
    max_clock_skew_us: int
    retention_us: int
    seen_ids_cap: int
    axis: TimeAxis
    local_time: LocalTime
    fields: tuple[Field, ...]
    filters: tuple[Filter, ...]
    tracks: tuple[Track, ...]
    logs: tuple[Log, ...]
    decays: tuple[Decay, ...]
    vectors: tuple[Vectors, ...]
    last_seen: tuple[LastSeen, ...]
    profiles: tuple[Profile, ...]
    sessions: tuple[SessionTrack, ...]
    hlls: tuple[HllTrack, ...]
    klls: tuple[KllTrack, ...]
    keyed_tracks: tuple[KeyedTrack, ...]
    keyed_decays: tuple[KeyedDecay, ...]
    scalars: tuple[
        ScalarOutput
        | DecayedOutput
        | RatioOutput
        | LoggedOutput
        | LastSeenOutput
        | SessionOutput
        | ApproxDistinctOutput
        | EntropyOutput,
        ...,
    ]
    arrays: tuple[StackedOutput | ProfileOutput | ApproxQuantilesOutput | InterestWeightsOutput, ...]
    lists: tuple[ListOutput | TableOutput | DecayedTableOutput, ...]
    sequences: tuple[SequenceOutput, ...]
    embeddings: tuple[EmbeddingOutput | ComposedOutput | FoldInOutput | InterestsOutput, ...]
    learned: tuple[LearnedItems, ...]
    item_fields: frozenset[str]
    """Names of event fields that name what embeddings are of: null or a name, never empty."""
    layout: Layout
    declared_by: Mapping[str, tuple[str, ...]]
    """Key of a piece of state -> the features, sequences and embeddings of the spec that read it."""

    @cached_property
    def scalars_by_type(self) -> dict[type, tuple[list[int], list[Any]]]:
        """Type of output -> (columns of the feature matrix, outputs)."""
        found: dict[type, tuple[list[int], list[Any]]] = {}
        for column, output in enumerate(self.scalars):
            columns, outputs = found.setdefault(type(output), ([], []))
            columns.append(column)
            outputs.append(output)
        return found

    @cached_property
    def all_lists(self) -> tuple[ListOutput | TableOutput | DecayedTableOutput | SequenceOutput, ...]:
        """Every output that is a list for each user."""
        return (*self.lists, *self.sequences)

    @cached_property
    def track_axes(self) -> TrackAxes:
        """Where the tiles of `tracks` lie."""
        return self._axes(self.tracks)

    @cached_property
    def hll_axes(self) -> TrackAxes:
        """Where the tiles of `hlls` lie."""
        return self._axes(self.hlls)

    @cached_property
    def kll_axes(self) -> TrackAxes:
        """Where the tiles of `klls` lie."""
        return self._axes(self.klls)

    @cached_property
    def keyed_axes(self) -> TrackAxes:
        """Where the tiles of `keyed_tracks` lie."""
        return self._axes(self.keyed_tracks)

    @cached_property
    def log_axes(self) -> TrackAxes:
        """Where the tiles of `logs` that keep the first lie."""
        return self._axes(self.logs)

    def _axes(self, tracks: Sequence[Track | Log | HllTrack | KllTrack | KeyedTrack]) -> TrackAxes:
        return TrackAxes([_axis(track.windows, self.axis.skew_s) for track in tracks])

    @cached_property
    def composed(self) -> tuple[ComposedOutput | FoldInOutput | InterestsOutput, ...]:
        """Every embedding that is composed of a table's vectors when it is read."""
        return tuple(o for o in self.embeddings if isinstance(o, ComposedOutput | FoldInOutput | InterestsOutput))

    @cached_property
    def item_tables(self) -> dict[str, int]:
        """The tables that readings need, with their dimensions."""
        return {output.table: output.dimensions for output in self.composed}

    @cached_property
    def tiled_windows(self) -> tuple[Window, ...]:
        """Every window that tiles are read over, each once."""
        tiled = [output for output in self.scalars if isinstance(output, ScalarOutput)]
        tiled += [part for array in self.arrays if isinstance(array, StackedOutput) for part in array.parts]
        ratios = [output for output in self.scalars if isinstance(output, RatioOutput)]
        tiled += [part for ratio in ratios for part in (ratio.numerator, ratio.denominator)]
        return tuple(dict.fromkeys(output.window for output in tiled))

    @cached_property
    def prepared(self) -> dict[str, Any]:
        """What readers worked out of the plan, once, by a name of their own."""
        return {}

    @cached_property
    def keyed_windows(self) -> tuple[Window, ...]:
        """Every window that keyed tiles are read over, each once."""
        keyed = [o for o in (*self.scalars, *self.lists) if isinstance(o, EntropyOutput | TableOutput)]
        return tuple(dict.fromkeys(output.window for output in keyed))


def _axis(windows: Sequence[Window], skew_s: int) -> TimeAxis:
    width_of_window_s: dict[int, int] = {}
    for window in windows:
        if window.reach_s is not None:
            width_of_window_s[window.reach_s] = min(
                window.width_s, width_of_window_s.get(window.reach_s, window.width_s)
            )
    return TimeAxis.of_windows(width_of_window_s, skew_s, any(window.reach_s is None for window in windows))
