"""A spec compiled into what the core executes: filters, tracks, logs, vectors, and the outputs read from them.

    Filter   which events: every named field has one of its accepted values
    Track    what tiles add up for one (filter, field): counts, and sums if an output needs them
    Log      the last K matching events with some of their fields, for `last_k` and sequences
    Vectors  decayed sums of item vectors, one a half-life

Outputs that can share state do: three aggregations of one filter and field over five windows are one track.
A piece of state is identified by its `key`, the text of its definition, so that a changed spec recognises what it
still has. Nothing here touches events or records.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from user_state.core.time_axis import TimeAxis, default_tile_width_s
from user_state.durations import SECOND_US, parse_duration_us
from user_state.errors import CodecError
from user_state.spec import LoadedSpec
from user_state.spec.model import DECAYED_AGGREGATIONS, LIFETIME, Feature, Scalar, Spec

NAN = float("nan")
TRACK_OF = {
    "count": "count",
    "sum": "sum",
    "mean": "sum",
    "min": "min",
    "max": "max",
    "variance": "variance",
    "stddev": "variance",
    "skew": "moments",
    "kurtosis": "moments",
    "recency": "times",
    "first_seen": "times",
    "gap_mean": "times",
}
"""Which kind of track each aggregation is read from."""
TRACK_COLUMNS = {"count": 0, "sum": 1, "min": 1, "max": 1, "variance": 2, "moments": 4, "times": 2}
"""How many numbers beside the count a tile of each kind holds; `user_state.core.tile_values` says which."""


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
    horizon: Window | None
    """The longest finite window read from this track."""
    lifetime: bool


@dataclass(frozen=True)
class Log:
    """The last `cap` events that pass `filter` and, if `required` is set, have that field."""

    key: str
    filter: int
    required: int | None
    fields: tuple[int, ...]
    cap: int
    reach_us: int | None
    """Events older than this before the clock are read by no output; None keeps all."""


@dataclass(frozen=True)
class Decay:
    """Decayed counts, or sums of field `of`, of the events that pass `filter`, one for each half-life."""

    key: str
    filter: int
    of: int | None
    half_lives_us: tuple[int, ...]


@dataclass(frozen=True)
class Vectors:
    """Decayed weighted sums of the vectors of field `of`, one for each half-life."""

    key: str
    of: int
    dimensions: int
    half_lives_us: tuple[int, ...]
    weight_field: int | None
    weights: Mapping[str, float] | None


@dataclass(frozen=True)
class ScalarOutput:
    """A column of the feature matrix read from tiles."""

    name: str
    aggregate: str
    track: int
    window: Window
    empty: float


@dataclass(frozen=True)
class DecayedOutput:
    """A column of the feature matrix read from a decay."""

    name: str
    aggregate: str
    decay: int
    half_life: int
    empty: float


@dataclass(frozen=True)
class ListOutput:
    """A `last_k`: the values of one field within a window."""

    name: str
    log: int
    column: int
    k: int
    window: Window


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
    """One half-life of a `Vectors`."""

    name: str
    vectors: int
    half_life: int
    dimensions: int


@dataclass(frozen=True)
class Layout:
    """What the record codec must know of the plan that made a record; small enough to be stored beside the records.

    Tracks are (key, kind), logs (key, ((field, kind), ...)), decays (key, half-lives), vectors (key, half-lives,
    dimensions).
    """

    tracks: tuple[tuple[str, str], ...]
    logs: tuple[tuple[str, tuple[tuple[str, str], ...]], ...]
    decays: tuple[tuple[str, int], ...]
    vectors: tuple[tuple[str, int, int], ...]

    @property
    def track_kinds(self) -> tuple[str, ...]:
        """The kind of each track."""
        return tuple(kind for _, kind in self.tracks)

    def to_json(self) -> str:
        """Return the layout as JSON, the same text for the same layout."""
        return json.dumps(
            [self.tracks, self.logs, self.decays, self.vectors], separators=(",", ":"), ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Layout:
        """Return the layout that `to_json` wrote.

        Raises:
            CodecError: it did not.
        """
        try:
            tracks, logs, decays, vectors = json.loads(text)
            return cls(
                tuple((str(key), _track_kind(kind)) for key, kind in tracks),
                tuple((str(key), tuple((str(n), str(k)) for n, k in fields)) for key, fields in logs),
                tuple((str(key), int(half_lives)) for key, half_lives in decays),
                tuple((str(key), int(h), int(d)) for key, h, d in vectors),
            )
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as exc:
            raise CodecError(f"expected a record layout as JSON, got {text[:80]!r}") from exc

    @property
    def fingerprint(self) -> bytes:
        """Eight bytes that name this layout."""
        return hashlib.blake2b(self.to_json().encode(), digest_size=8).digest()


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
    fields: tuple[Field, ...]
    filters: tuple[Filter, ...]
    tracks: tuple[Track, ...]
    logs: tuple[Log, ...]
    decays: tuple[Decay, ...]
    vectors: tuple[Vectors, ...]
    scalars: tuple[ScalarOutput | DecayedOutput, ...]
    lists: tuple[ListOutput, ...]
    sequences: tuple[SequenceOutput, ...]
    embeddings: tuple[EmbeddingOutput, ...]
    layout: Layout


def compile_plan(loaded: LoadedSpec) -> Plan:
    """Compile a validated spec.

    Raises:
        ValueError: the spec was not validated by `load_spec` (a window without a tile width and the like).
    """
    return _Compiler(loaded).plan()


def windows_of(spec: Spec) -> dict[str, Window]:
    """Return every window the spec uses, by the text it is written as."""
    texts = {text for feature in spec.features.values() for text in feature.windows}
    windows = {}
    for text in texts:
        if text == LIFETIME:
            windows[text] = Window(text, None, 0)
            continue
        reach_s = parse_duration_us(text) // SECOND_US
        given = spec.tiles.get(text)
        width_s = parse_duration_us(given) // SECOND_US if given else default_tile_width_s(reach_s)
        windows[text] = Window(text, reach_s, width_s)
    return windows


class _Compiler:
    """Collects shared state while walking the spec; the lists' positions are the plan's indices."""

    def __init__(self, loaded: LoadedSpec) -> None:
        self.spec = loaded.spec
        self.schema = loaded.schema
        self.windows = windows_of(self.spec)
        self.fields: list[Field] = []
        self.filters: list[Filter] = []
        self.filter_text: list[str] = []
        self.tracks: dict[str, Track] = {}
        self.logs: dict[str, Log] = {}
        self.decays: dict[str, Decay] = {}
        self.vectors: dict[str, Vectors] = {}
        self.scalars: list[ScalarOutput | DecayedOutput] = []
        self.lists: list[ListOutput] = []
        self.sequences: list[SequenceOutput] = []
        self.embeddings: list[EmbeddingOutput] = []

    def plan(self) -> Plan:
        for name, feature in self.spec.features.items():
            self._feature(name, feature)
        self._sequences()
        self._embeddings()
        spec, schema = self.spec, self.schema
        tracks, logs = tuple(self.tracks.values()), tuple(self.logs.values())
        decays, vectors = tuple(self.decays.values()), tuple(self.vectors.values())
        finite = {w.reach_s: w.width_s for w in self.windows.values() if w.reach_s is not None}
        published = spec.events.published
        return Plan(
            name=spec.name,
            user_field=spec.events.user,
            id_field=spec.events.id,
            time_field=spec.events.time,
            time_unit_us=_unit_us(schema.fields[spec.events.time].unit),
            published_field=published,
            published_unit_us=_unit_us(schema.fields[published].unit) if published else 1,
            allowed_lateness_us=spec.allowed_lateness,
            max_clock_skew_us=spec.max_clock_skew,
            retention_us=spec.retention,
            seen_ids_cap=spec.seen_ids_cap,
            axis=TimeAxis.of_windows(finite, spec.max_clock_skew // SECOND_US, LIFETIME in self.windows),
            fields=tuple(self.fields),
            filters=tuple(self.filters),
            tracks=tracks,
            logs=logs,
            decays=decays,
            vectors=vectors,
            scalars=tuple(self.scalars),
            lists=tuple(self.lists),
            sequences=tuple(self.sequences),
            embeddings=tuple(self.embeddings),
            layout=Layout(
                tracks=tuple((track.key, track.kind) for track in tracks),
                logs=tuple(
                    (log.key, tuple((self.fields[f].name, self.fields[f].kind) for f in log.fields)) for log in logs
                ),
                decays=tuple((decay.key, len(decay.half_lives_us)) for decay in decays),
                vectors=tuple((v.key, len(v.half_lives_us), v.dimensions) for v in vectors),
            ),
        )

    def _field(self, name: str) -> int:
        field = Field(name, self.schema.fields[name].kind)
        if field not in self.fields:
            self.fields.append(field)
        return self.fields.index(field)

    def _filter(self, where: Mapping[str, list[Scalar]]) -> int:
        found = Filter(tuple(sorted((self._field(name), frozenset(values)) for name, values in where.items())))
        if found not in self.filters:
            self.filters.append(found)
            canonical = {name: sorted(set(values), key=repr) for name, values in sorted(where.items())}
            self.filter_text.append(json.dumps(canonical, ensure_ascii=False))
        return self.filters.index(found)

    def _feature(self, name: str, feature: Feature) -> None:
        where = self._filter(feature.where)
        for aggregate in feature.aggregate:
            if aggregate in DECAYED_AGGREGATIONS:
                self._decayed(name, aggregate, where, feature)
                continue
            for window in (self.windows[text] for text in feature.windows):
                output = f"{name}_{aggregate}_{window.text}"
                if aggregate == "last_k":
                    self._last_k(output, where, feature, window)
                else:
                    kind = TRACK_OF[aggregate]
                    of_name = {"count": None, "times": self.spec.events.time}.get(kind, feature.of)
                    of = None if of_name is None else self._field(of_name)
                    track = self._track(kind, where, of, window)
                    # Nothing counts and sums to 0; everything else has no value over nothing.
                    empty = 0.0 if aggregate in ("count", "sum") else NAN
                    empty = empty if feature.default is None else feature.default
                    self.scalars.append(ScalarOutput(output, aggregate, track, window, empty))

    def _decayed(self, name: str, aggregate: str, where: int, feature: Feature) -> None:
        of = self._field(feature.of) if aggregate == "decayed_sum" and feature.of is not None else None
        half_lives_us = tuple(parse_duration_us(text) for text in feature.half_life)
        of_name = None if of is None else self.fields[of].name
        key = f"decay {self.filter_text[where]} of {of_name} by {list(half_lives_us)}"
        self.decays[key] = Decay(key, where, of, half_lives_us)
        index = list(self.decays).index(key)
        empty = 0.0 if feature.default is None else feature.default
        for position, text in enumerate(feature.half_life):
            self.scalars.append(DecayedOutput(f"{name}_{aggregate}_{text}", aggregate, index, position, empty))

    def _track(self, kind: str, where: int, of: int | None, window: Window) -> int:
        of_name = None if of is None else self.fields[of].name
        key = f"{kind} tiles {self.filter_text[where]} of {of_name}"
        old = self.tracks.get(key)
        horizon = old.horizon if old else None
        if window.reach_s is not None and (horizon is None or window.reach_s > (horizon.reach_s or 0)):
            horizon = window
        lifetime = window.reach_s is None or (old is not None and old.lifetime)
        self.tracks[key] = Track(key, kind, where, of, horizon, lifetime)
        return list(self.tracks).index(key)

    def _last_k(self, output: str, where: int, feature: Feature, window: Window) -> None:
        assert feature.of is not None  # the model demands it of last_k  # noqa: S101
        assert feature.k is not None  # noqa: S101
        of = self._field(feature.of)
        reach_us = None if window.reach_s is None else (window.reach_s + window.width_s) * SECOND_US
        log = self._log(where, of, (of,), feature.k, reach_us)
        self.lists.append(ListOutput(output, log, 0, feature.k, window))

    def _log(self, where: int, required: int | None, fields: tuple[int, ...], cap: int, reach_us: int | None) -> int:
        key = f"log {self.filter_text[where]} of {None if required is None else self.fields[required].name}"
        old = self.logs.get(key)
        if old is not None:
            fields = old.fields + tuple(f for f in fields if f not in old.fields)
            cap = max(cap, old.cap)
            reach_us = None if reach_us is None or old.reach_us is None else max(reach_us, old.reach_us)
        self.logs[key] = Log(key, where, required, fields, cap, reach_us)
        return list(self.logs).index(key)

    def _sequences(self) -> None:
        for name, sequence in self.spec.sequences.items():
            fields = tuple(self._field(field) for field in sequence.fields)
            log = self._log(self._filter(sequence.where), None, fields, sequence.last, sequence.within)
            kept = list(self.logs.values())[log].fields
            columns = tuple(kept.index(field) for field in fields)
            self.sequences.append(
                SequenceOutput(
                    name, log, columns, tuple(self.fields[f] for f in fields), sequence.last, sequence.within
                )
            )

    def _embeddings(self) -> None:
        for name, embedding in self.spec.embeddings.items():
            of = self._field(embedding.of)
            weight_field = self._field(embedding.weight_field) if embedding.weights is not None else None
            half_lives_us = tuple(parse_duration_us(text) for text in embedding.half_life)
            weights = json.dumps(embedding.weights, sort_keys=True, ensure_ascii=False)
            weighed_by = None if weight_field is None else embedding.weight_field
            key = (
                f"{embedding.kind} of {embedding.of} in {embedding.dimensions} by {list(half_lives_us)}"
                f" weighed by {weighed_by} {weights}"
            )
            self.vectors[key] = Vectors(key, of, embedding.dimensions, half_lives_us, weight_field, embedding.weights)
            index = list(self.vectors).index(key)
            for position, text in enumerate(embedding.half_life):
                self.embeddings.append(EmbeddingOutput(f"{name}_{text}", index, position, embedding.dimensions))


def _track_kind(kind: str) -> str:
    """Return the kind if there is such a one; raises KeyError."""
    TRACK_COLUMNS[kind]
    return kind


def _unit_us(unit: str | None) -> int:
    return 1000 if unit == "ms" else 1
