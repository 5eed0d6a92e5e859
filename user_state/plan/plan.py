"""A spec compiled into what the core executes: filters and pieces of state (state_definitions.py), and outputs.

Outputs (outputs.py) that can share a piece of state do: three aggregations of one filter and field over five windows
are one track.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from user_state.plan.definition import definition_of
from user_state.plan.layout import Layout
from user_state.plan.lazily import cached_property
from user_state.plan.local_time import LocalTime
from user_state.plan.outputs import (
    AnyArray,
    AnyComposed,
    AnyEmbedding,
    AnyList,
    AnyScalar,
    EntropyOutput,
    RatioOutput,
    ScalarOutput,
    SequenceOutput,
    StackedOutput,
    TableOutput,
)
from user_state.plan.state_definitions import (
    Decay,
    Field,
    Filter,
    GapTrack,
    HllTrack,
    KeyedDecay,
    KeyedTrack,
    KllTrack,
    LastSeen,
    LearnedItems,
    Log,
    Profile,
    SessionTrack,
    Track,
    Vectors,
    Window,
)
from user_state.plan.time_axis import TimeAxis
from user_state.plan.track_axes import TrackAxes, axis_of

READ_ONLY = frozenset(
    {
        "name",
        "keyspace",
        "scalars",
        "arrays",
        "lists",
        "sequences",
        "embeddings",
        "item_fields",
        "layout",
        "declared_by",
    }
)
"""The fields of a plan that say how records are read, or what is called what; `layout` follows from the others."""


@dataclass(frozen=True)
class Plan:
    """Everything the core executes for one spec."""

    name: str
    keyspace: str
    """What the keys of the records begin with: the spec's name, and the generation if they are of one."""
    user_field: str
    id_field: str
    time_field: str
    time_unit_ns: int
    """Nanoseconds a unit of the event time; 0 if it is ISO 8601 text."""
    published_field: str | None
    published_unit_ns: int
    allowed_lateness_us: int
    max_clock_skew_us: int
    retention_us: int
    seen_ids_cap: int
    max_record_bytes: int
    """A write that would make a record larger than this is not made; the events are dead letters, `oversized`."""
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
    gaps: tuple[GapTrack, ...]
    scalars: tuple[AnyScalar, ...]
    arrays: tuple[AnyArray, ...]
    lists: tuple[AnyList, ...]
    sequences: tuple[SequenceOutput, ...]
    embeddings: tuple[AnyEmbedding, ...]
    learned: tuple[LearnedItems, ...]
    item_fields: frozenset[str]
    """Names of event fields that name what embeddings are of: null or a name, never empty."""
    layout: Layout
    declared_by: Mapping[str, tuple[str, ...]]
    """Key of a piece of state -> the features, sequences and embeddings of the spec that read it."""

    @cached_property
    def definition(self) -> bytes:
        """Eight bytes that name what the plan writes: those of two plans that write the same are equal."""
        return definition_of(self, READ_ONLY)

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
    def kinds(self) -> str:
        """The first letter of the kind of each of `fields`, a capital for a list."""
        return "".join(field.value_kind[0].upper() if field.is_list else field.value_kind[0] for field in self.fields)

    @cached_property
    def all_lists(self) -> tuple[AnyList | SequenceOutput, ...]:
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
    def gap_axes(self) -> TrackAxes:
        """Where the tiles of `gaps` lie."""
        return self._axes(self.gaps)

    @cached_property
    def log_axes(self) -> TrackAxes:
        """Where the tiles of `logs` that keep the first lie."""
        return self._axes(self.logs)

    def _axes(self, tracks: Sequence[Track | Log | HllTrack | KllTrack | KeyedTrack | GapTrack]) -> TrackAxes:
        return TrackAxes([axis_of(track.windows, self.axis.skew_s) for track in tracks])

    @cached_property
    def composed(self) -> tuple[AnyComposed, ...]:
        """Every embedding that is composed of a table's vectors when it is read."""
        return tuple(o for o in self.embeddings if isinstance(o, AnyComposed))

    @cached_property
    def item_tables(self) -> dict[str, int]:
        """The tables that readings need, with their dimensions."""
        return {output.table: output.dimensions for output in self.composed}

    @cached_property
    def tiled(self) -> tuple[ScalarOutput, ...]:
        """Every number that is read from tiles: as it is, in a ratio, in an array."""
        tiled = [output for output in self.scalars if isinstance(output, ScalarOutput)]
        tiled += [part for array in self.arrays if isinstance(array, StackedOutput) for part in array.parts]
        ratios = [output for output in self.scalars if isinstance(output, RatioOutput)]
        return (*tiled, *(part for ratio in ratios for part in (ratio.numerator, ratio.denominator)))

    @cached_property
    def tiled_windows(self) -> tuple[Window, ...]:
        """Every window that tiles are read over, each once."""
        return tuple(dict.fromkeys(output.window for output in self.tiled))

    @cached_property
    def prepared(self) -> dict[str, Any]:
        """What readers worked out of the plan, once, by a name of their own."""
        return {}

    @cached_property
    def keyed_windows(self) -> tuple[Window, ...]:
        """Every window that keyed tiles are read over, each once."""
        keyed = [o for o in (*self.scalars, *self.lists) if isinstance(o, EntropyOutput | TableOutput)]
        return tuple(dict.fromkeys(output.window for output in keyed))
