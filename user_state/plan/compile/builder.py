"""What compiling any part of a spec needs: fields, filters and windows by index, and pieces of state shared by key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from user_state.durations import SECOND_US, parse_duration_us
from user_state.plan.conditions import AllOf, AnyOf, Condition, Contains, Exists, Not, OneOf, compare
from user_state.plan.kept import (
    Kept,
    kept_of_keyed_decay,
    kept_of_last_seen,
    kept_of_log,
    kept_of_sessions,
    kept_of_tiles,
)
from user_state.plan.layout import (
    TIME_KIND,
    DecayLayout,
    GapLayout,
    HllLayout,
    KeyedDecayLayout,
    KeyedTrackLayout,
    KllLayout,
    LastSeenLayout,
    Layout,
    LogLayout,
    ProfileLayout,
    SessionLayout,
    TrackLayout,
    VectorsLayout,
)
from user_state.plan.local_time import LocalTime
from user_state.plan.outputs import (
    AnyArray,
    AnyEmbedding,
    AnyList,
    AnyScalar,
    SequenceOutput,
)
from user_state.plan.plan import Plan
from user_state.plan.state_definitions import (
    LIST_OF,
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
from user_state.plan.time_axis import TimeAxis, default_tile_width_s
from user_state.spec import LoadedSpec, filters
from user_state.spec.event_field import UNITS, EventField
from user_state.spec.model import Spec
from user_state.spec.time_zones import utc_offsets
from user_state.spec.values import LIFETIME

NAN = float("nan")


class Builder:
    """Collects a plan while a spec is walked; the position of anything in its list is its index in the plan."""

    def __init__(self, loaded: LoadedSpec) -> None:
        self.spec = loaded.spec
        self.keyspace = loaded.keyspace
        self.schema = loaded.schema
        self.windows = windows_of(self.spec)
        self._local_time = LocalTime()
        self.fields: list[Field] = []
        self.filters: list[Filter] = []
        self._filter_texts: list[str] = []
        self.tracks: dict[str, Track] = {}
        self.logs: dict[str, Log] = {}
        self.decays: dict[str, Decay] = {}
        self.vectors: dict[str, Vectors] = {}
        self.last_seen: dict[str, LastSeen] = {}
        self.profiles: dict[str, Profile] = {}
        self.sessions: dict[str, SessionTrack] = {}
        self.hlls: dict[str, HllTrack] = {}
        self.klls: dict[str, KllTrack] = {}
        self.keyed_tracks: dict[str, KeyedTrack] = {}
        self.keyed_decays: dict[str, KeyedDecay] = {}
        self.gaps: dict[str, GapTrack] = {}
        self.declaring = ""
        """The feature, sequence or embedding that is being compiled."""
        self._declared_by: dict[str, dict[str, None]] = {}
        self.scalars: list[AnyScalar] = []
        self.arrays: list[AnyArray] = []
        self.lists: list[AnyList] = []
        self.sequences: list[SequenceOutput] = []
        self.embeddings: list[AnyEmbedding] = []
        self.learned: list[LearnedItems] = []

    def field(self, name: str) -> int:
        """Return the index of an event field, as it is."""
        return self._field(name, self.schema.fields[name].kind)

    def kept_field(self, name: str) -> int:
        """Return the index of an event field as a log keeps it: of a list all of it, as one text."""
        kind = self.schema.fields[name].kind
        return self._field(name, f"{LIST_OF}{kind}" if self.schema.fields[name].is_list else kind)

    def number_field(self, name: str) -> int:
        """Return the index of an event field that numbers are asked of."""
        return self._field(name, self.schema.fields[name].number or "")

    def id_field(self, name: str) -> int:
        """Return the index of the text of an event field that names somebody or something."""
        return self._field(name, "string")

    def _field(self, name: str, kind: str) -> int:
        field = Field(name, kind)
        if field not in self.fields:
            self.fields.append(field)
        return self.fields.index(field)

    def field_name(self, field: int | None) -> str | None:
        """Return what keys of state call a field, None for no field: its name, with the unit of a time.

        So state goes on from values of the same unit alone, if a schema says another one from now on.
        """
        if field is None:
            return None
        name = self.fields[field].name
        unit = self.schema.fields[name].unit
        return name if unit in (None, "us") else f"{name} in {unit}"

    def filter(self, where: filters.AllOf, of: str | None = None) -> int:
        """Return the index of a filter; with `of`, of one that leaves out events in which that field is null."""
        # Whether or not it may be null: a schema that lets it be null later goes on from what there is.
        if of is not None:
            where = filters.both(where, filters.AllOf((filters.Exists(of),)))
        text = where.text()
        if text not in self._filter_texts:
            for name in where.fields:
                self.field(name)
            ordered = sorted(where.conditions, key=self._place)
            self.filters.append(Filter(tuple(self._condition(condition) for condition in ordered)))
            self._filter_texts.append(text)
        return self._filter_texts.index(text)

    def _place(self, condition: filters.Condition) -> tuple[int, int, str]:
        """Return what conditions are sorted by: those on values by field, then the others by what they say."""
        if isinstance(condition, filters.OneOf):
            return 0, self.field(condition.field), ""
        return 1, 0, filters.AllOf((condition,)).text()

    def _condition(self, condition: filters.Condition) -> Condition:
        match condition:
            case filters.OneOf(field, values):
                return OneOf(self.field(field), frozenset(values))
            case filters.Contains(field, values):
                return Contains(self.field(field), frozenset(values))
            case filters.Compares(field, how, number):
                return compare(self.field(field), self.schema.fields[field].kind, how, number)
            case filters.Exists(field):
                return Exists(self.field(field))
            case filters.Not(part):
                return Not(self._condition(part))
            case filters.AnyOf(parts):
                return AnyOf(tuple(map(self._condition, parts)))
            case filters.AllOf(parts):
                return AllOf(tuple(map(self._condition, parts)))

    def filter_text(self, index: int) -> str:
        """Return a filter as the text that keys of pieces contain."""
        return self._filter_texts[index]

    def local_time(self) -> LocalTime:
        """Return the spec's time zone, which is worked out for those who ask only."""
        zone = self.spec.timezone
        if self._local_time.zone != zone:
            self._local_time = LocalTime(zone, *utc_offsets(zone))
        return self._local_time

    def keep(self, pieces: dict[str, Any], piece: Any) -> int:
        """Put a piece of state among those of its family, in the place of the one with its key; return its index."""
        pieces[piece.key] = piece
        self._declared_by.setdefault(piece.key, {})[self.declaring] = None
        return list(pieces).index(piece.key)

    def plan(self) -> Plan:
        """Return what was collected."""
        spec, schema = self.spec, self.schema
        finite = {w.reach_s: w.width_s for w in self.windows.values() if w.reach_s is not None}
        published = spec.events.published
        return Plan(
            name=spec.name,
            keyspace=self.keyspace,
            user_field=spec.events.user,
            id_field=spec.events.id,
            time_field=spec.events.time,
            time_unit_ns=unit_ns(schema.fields[spec.events.time], spec.events.time_unit),
            published_field=published,
            published_unit_ns=unit_ns(schema.fields[published], spec.events.published_unit) if published else 0,
            allowed_lateness_us=spec.allowed_lateness,
            max_clock_skew_us=spec.max_clock_skew,
            retention_us=spec.retention,
            seen_ids_cap=spec.seen_ids_cap,
            max_record_bytes=spec.max_record,
            axis=TimeAxis.of_windows(finite, spec.max_clock_skew // SECOND_US, LIFETIME in self.windows),
            local_time=self._local_time,
            fields=tuple(self.fields),
            filters=tuple(self.filters),
            tracks=tuple(self.tracks.values()),
            logs=tuple(self.logs.values()),
            decays=tuple(self.decays.values()),
            vectors=tuple(self.vectors.values()),
            last_seen=tuple(self.last_seen.values()),
            profiles=tuple(self.profiles.values()),
            sessions=tuple(self.sessions.values()),
            hlls=tuple(self.hlls.values()),
            klls=tuple(self.klls.values()),
            keyed_tracks=tuple(self.keyed_tracks.values()),
            keyed_decays=tuple(self.keyed_decays.values()),
            gaps=tuple(self.gaps.values()),
            scalars=tuple(self.scalars),
            arrays=tuple(self.arrays),
            lists=tuple(self.lists),
            sequences=tuple(self.sequences),
            embeddings=tuple(self.embeddings),
            learned=tuple(self.learned),
            item_fields=frozenset(declared.of for declared in spec.embeddings.values()),
            layout=self._layout(),
            declared_by={key: tuple(names) for key, names in self._declared_by.items()},
        )

    def _logged(self, field: int) -> tuple[str, str]:
        """Return what a log calls a field, and its kind there."""
        name = self.fields[field].name
        # Every row of a log has its event's time already, from which it follows in the field's unit.
        if name == self.spec.events.time and self.schema.fields[name].unit in ("us", "ms"):
            return name, TIME_KIND
        return self.field_name(field) or name, self.fields[field].kind

    def _layout(self) -> Layout:
        return Layout(
            tracks=tuple(TrackLayout(track.key, track.kind) for track in self.tracks.values()),
            logs=tuple(LogLayout(log.key, tuple(map(self._logged, log.fields))) for log in self.logs.values()),
            decays=tuple(DecayLayout(decay.key, len(decay.half_lives_us)) for decay in self.decays.values()),
            vectors=tuple(
                VectorsLayout(v.key, len(v.half_lives_us), v.dimensions, v.component_bytes)
                for v in self.vectors.values()
            ),
            last_seen=tuple(LastSeenLayout(track.key, track.kind) for track in self.last_seen.values()),
            profiles=tuple(ProfileLayout(p.key, len(p.half_lives_us), p.bins) for p in self.profiles.values()),
            sessions=tuple(SessionLayout(track.key) for track in self.sessions.values()),
            hlls=tuple(HllLayout(track.key, track.lg_k) for track in self.hlls.values()),
            klls=tuple(KllLayout(track.key, track.k) for track in self.klls.values()),
            keyed_tiles=tuple(
                KeyedTrackLayout(track.key, self._kinds(track.by), track.of is not None)
                for track in self.keyed_tracks.values()
            ),
            keyed_decays=tuple(
                KeyedDecayLayout(decay.key, self._kinds(decay.by)) for decay in self.keyed_decays.values()
            ),
            gaps=tuple(GapLayout(track.key) for track in self.gaps.values()),
            kept=tuple(self._kept()),
        )

    def _kept(self) -> Iterator[Kept]:
        skew_us = self.spec.max_clock_skew // SECOND_US * SECOND_US
        yield from (kept_of_tiles(track, skew_us) for track in self.tracks.values())
        yield from (kept_of_log(log, skew_us) for log in self.logs.values())
        yield from (kept_of_last_seen(track, skew_us) for track in self.last_seen.values())
        lateness_us = self.spec.allowed_lateness
        yield from (kept_of_sessions(track, skew_us, lateness_us) for track in self.sessions.values())
        yield from (kept_of_tiles(track, skew_us) for track in self.hlls.values())
        yield from (kept_of_tiles(track, skew_us) for track in self.klls.values())
        yield from (kept_of_tiles(track, skew_us, track.most_keys) for track in self.keyed_tracks.values())
        yield from (kept_of_keyed_decay(decay, skew_us) for decay in self.keyed_decays.values())
        yield from (kept_of_tiles(track, skew_us) for track in self.gaps.values())

    def _kinds(self, fields: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(self.fields[field].value_kind for field in fields)


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


def with_window(windows: tuple[Window, ...], window: Window) -> tuple[Window, ...]:
    """Return the windows that are read from a track, with one more."""
    return windows if window in windows else (*windows, window)


def longer(horizon: Window | None, window: Window) -> Window | None:
    """Return a window that begins no later than either; `horizon` None is none yet, and lifetime changes nothing.

    A window begins up to a tile before its reach, so a shorter one of wide tiles may begin before a longer one.
    """
    if window.reach_s is None:
        return horizon
    reach_s = window.reach_s + window.width_s
    if horizon is not None and horizon.reach_s is not None and horizon.reach_s >= reach_s:
        return horizon
    return Window(window.text, reach_s, 1)


def unit_ns(field: EventField, stated: str | None) -> int:
    """Return how many nanoseconds a unit of a time has, 0 for a text, as the schema or else the spec says."""
    if field.kind == "string":
        return 0
    return UNITS[field.unit or stated or "us"]
