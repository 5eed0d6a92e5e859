"""A plan, and a choice of its outputs, as the compiled reader is told of them: numbers and tuples.

`native/record/program.hpp` has the structs that the tuples become, field by field. What the compiled reader cannot
finish is left out, and named: embeddings over item tables, and what interests weigh.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from user_state.plan import outputs as o
from user_state.plan.layout import LIST_KINDS
from user_state.plan.plan import Plan
from user_state.plan.state_definitions import Window

TILE_AGGREGATES = (
    *("count", "sum", "min", "max", "mean", "geometric_mean", "variance", "stddev", "skew", "kurtosis"),
    *("recency", "first_seen", "gap_mean"),
)
SESSION_AGGREGATES = (
    *("session_count", "session_length_mean", "session_events_mean"),
    *("current_session_length", "current_session_events"),
)
SHOWN = ("", "count", "share", "sum", "mean")
MEASURES = ("count", "sum", "mean")
TEXT, REAL, WHOLE, TIME = range(4)
LOG_KINDS = {
    **{"string": TEXT, "float": REAL, "int": WHOLE, "bool": WHOLE, "time": TIME},
    **dict(zip(LIST_KINDS, (4, 5, 6, 7), strict=True)),
}
"""The kinds of a log's fields in its layout."""
Row = tuple[Any, ...]


@dataclass(frozen=True)
class ListShape:
    """What a list looks like: its columns as (name, TEXT, REAL or WHOLE), padded to `width`; as in `Padded`.

    `lists` are those that are TEXT and each a list, as JSON: name -> kind of its values.
    """

    name: str
    width: int
    columns: tuple[tuple[str, int], ...]
    single: bool
    lists: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReadingProgram:
    """What the compiled reader is told, and the names of what it fills, in order.

    Attributes:
        described: by name, as program.hpp has it, but for what the codec knows: marker, layout, and blank sections.
        scalars, arrays, lists, embeddings: what it fills.
        left: names of outputs that it does not.
    """

    described: dict[str, Any]
    scalars: tuple[str, ...]
    arrays: tuple[tuple[str, int], ...]
    lists: tuple[ListShape, ...]
    embeddings: tuple[tuple[str, int], ...]
    left: frozenset[str]


class _Numbers:
    """Numbers read from tiles, each once, and their windows."""

    def __init__(self) -> None:
        self.windows: dict[Window, int] = {}
        self.rows: list[Row] = []
        self._places: dict[Row, int] = {}

    def place(self, output: o.ScalarOutput) -> int:
        window = self.windows.setdefault(output.window, len(self.windows))
        # Floats by their text: a default that is not a number equals nothing, not even itself.
        key = (output.aggregate, window, output.track, repr(output.empty))
        if key not in self._places:
            self._places[key] = len(self.rows)
            self.rows.append((TILE_AGGREGATES.index(output.aggregate), window, output.track, output.empty))
        return self._places[key]


def compile_program(plan: Plan, *, whole: bool) -> ReadingProgram:
    """Return what reads all outputs of a plan.

    Args:
        plan: what to read.
        whole: whether records are judged by all of their sections, and not by those alone that outputs are read from.
    """
    numbers = _Numbers()
    rows: dict[str, list[Row]] = {name: [] for name in _ROWS}
    for column, scalar in enumerate(plan.scalars):
        _add_scalar(rows, numbers, column, scalar)
    arrays = [array for array in plan.arrays if not isinstance(array, o.InterestWeightsOutput)]
    sizes = [_add_array(plan, rows, numbers, index, array) for index, array in enumerate(arrays)]
    lists = tuple(_add_list(plan, rows, index, output) for index, output in enumerate(plan.all_lists))
    embeddings = [one for one in plan.embeddings if isinstance(one, o.EmbeddingOutput)]
    for index, one in enumerate(embeddings):
        rows["vectors"].append((index, one.vectors, one.half_life, one.of == "sum", one.unit))
    described = {
        **rows,
        **_pieces(plan),
        "whole": whole,
        "columns": len(plan.scalars),
        "array_sizes": sizes,
        "dimensions": [one.dimensions for one in embeddings],
        "lists": [(shape.width, [kind for _, kind in shape.columns]) for shape in lists],
        "array_names": [array.name for array in arrays],
        "embedding_names": [one.name for one in embeddings],
        "list_names": [[name for name, _ in shape.columns] for shape in lists],
        "windows": [_window(window) for window in numbers.windows],
        "numbers": numbers.rows,
    }
    filled = {output.name for output in (*arrays, *embeddings)}
    return ReadingProgram(
        described,
        tuple(scalar.name for scalar in plan.scalars),
        tuple((array.name, size) for array, size in zip(arrays, sizes, strict=True)),
        lists,
        tuple((one.name, one.dimensions) for one in embeddings),
        frozenset(output.name for output in (*plan.arrays, *plan.embeddings) if output.name not in filled),
    )


_ROWS = (
    *("tiled", "ratios", "stacked", "decayed", "logged", "log_lists", "last_seen", "sessions", "gaps"),
    *("distinct", "entropies"),
    *("profiles", "quantiles", "tables", "decayed_tables", "vectors"),
)


def _window(window: Window) -> Row:
    return window.reach_s, window.width_s


def _add_scalar(rows: dict[str, list[Row]], numbers: _Numbers, at: int, output: Any) -> None:
    match output:
        case o.ScalarOutput():
            rows["tiled"].append((at, numbers.place(output)))
        case o.RatioOutput():
            parts = numbers.place(output.numerator), numbers.place(output.denominator)
            rows["ratios"].append((at, *parts, output.rate, output.weight, output.empty))
        case o.DecayedOutput():
            rows["decayed"].append((at, output.decay, output.half_life, output.empty))
        case o.LoggedOutput():
            first = output.aggregate == "first"
            rows["logged"].append((at, output.log, output.column, _window(output.window), first, output.empty))
        case o.LastSeenOutput():
            streak = output.aggregate == "streak_days"
            rows["last_seen"].append((at, output.track, _window(output.window), output.cap, streak, output.empty))
        case o.SessionOutput():
            which = SESSION_AGGREGATES.index(output.aggregate)
            rows["sessions"].append((at, which, output.track, _window(output.window), output.empty))
        case o.GapOutput():
            rows["gaps"].append((at, output.track, _window(output.window), output.empty))
        case o.ApproxDistinctOutput():
            rows["distinct"].append((at, output.track, _window(output.window), output.empty))
        case o.EntropyOutput():
            rows["entropies"].append((at, output.track, _window(output.window), output.empty))
        case _:
            raise NotImplementedError(type(output).__name__)


def _add_array(plan: Plan, rows: dict[str, list[Row]], numbers: _Numbers, at: int, output: Any) -> int:
    """Add an array; return how many numbers it has."""
    match output:
        case o.StackedOutput():
            rows["stacked"].append((at, [numbers.place(part) for part in output.parts]))
            return len(output.parts)
        case o.ProfileOutput():
            rows["profiles"].append((at, output.profile, output.half_life))
            return plan.profiles[output.profile].bins
        case o.ApproxQuantilesOutput():
            quantiles = list(output.quantiles)
            rows["quantiles"].append((at, output.track, _window(output.window), quantiles, output.empty))
            return len(quantiles)
    raise NotImplementedError(type(output).__name__)


def _add_list(plan: Plan, rows: dict[str, list[Row]], at: int, output: Any) -> ListShape:
    def kind_of(kind: str) -> int:
        return {"string": TEXT, "float": REAL}.get(kind, WHOLE)

    def shape(width: int, fields: Any, *beside: tuple[str, int], single: bool | None = None) -> ListShape:
        columns = (*((one.name, kind_of(one.value_kind)) for one in fields), *beside)
        lists = {one.name: one.item_kind for one in fields if one.is_one_text}
        return ListShape(output.name, width, columns, len(columns) == 1 if single is None else single, lists)

    match output:
        case o.ListOutput():
            first = output.aggregate.startswith("first")
            columns = list(output.columns)
            rows["log_lists"].append((at, output.log, columns, _window(output.window), None, output.k, first))
            return shape(output.k, output.fields)
        case o.SequenceOutput():
            columns, lifetime = list(output.columns), (None, 1)
            rows["log_lists"].append((at, output.log, columns, lifetime, output.within_us, output.last, False))
            return shape(output.last, output.fields, single=False)
        case o.TableOutput():
            by = [plan.fields[field] for field in plan.keyed_tracks[output.track].by]
            numbers = SHOWN.index(output.shown), MEASURES.index(output.measure)
            rows["tables"].append((at, output.track, output.k, *numbers, _window(output.window)))
            beside = [(output.shown, WHOLE if output.shown == "count" else REAL)] if output.shown else []
            return shape(output.k, by, *beside)
        case o.DecayedTableOutput():
            by = [plan.fields[field] for field in plan.keyed_decays[output.decay].by]
            rows["decayed_tables"].append((at, output.decay, output.k, output.share))
            return shape(output.k, by, ("count", REAL), *([("share", REAL)] if output.share else []))
    raise NotImplementedError(type(output).__name__)


def _pieces(plan: Plan) -> dict[str, Any]:
    layout = plan.layout
    texts: Callable[[tuple[str, ...]], list[bool]] = lambda kinds: [kind == "string" for kind in kinds]  # noqa: E731
    half_lives_us = [decay.half_life_us for decay in plan.keyed_decays]
    return {
        "tracks": [track.kind for track in layout.tracks],
        "time_unit_us": max(plan.time_unit_ns // 1000, 1),
        "logs": [([LOG_KINDS[kind] for kind in log.kinds],) for log in layout.logs],
        "decays": [list(decay.half_lives_us) for decay in plan.decays],
        "vector_parts": [(v.dimensions, v.component_bytes, list(v.half_lives_us)) for v in plan.vectors],
        "last_seen_days": [track.kind == "days" for track in layout.last_seen],
        "profile_parts": [(profile.bins, len(profile.half_lives_us)) for profile in plan.profiles],
        "session_gaps_us": [track.gap_us for track in plan.sessions],
        "hll_lg_ks": [track.lg_k for track in plan.hlls],
        "kll_ks": [track.k for track in plan.klls],
        "keyed_tracks": [(texts(track.kinds), track.sums, 0) for track in layout.keyed_tiles],
        "keyed_decays": [
            (texts(decay.kinds), False, half_life_us)
            for decay, half_life_us in zip(layout.keyed_decays, half_lives_us, strict=True)
        ],
        "gap_tracks": len(plan.gaps),
        "transitions_s": list(plan.local_time.transitions_s),
        "offsets_s": list(plan.local_time.offsets_s),
    }
