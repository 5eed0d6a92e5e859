"""`user-state get`: what Redis holds of a few users, for people and for scripts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from rich.table import Table
from rich.text import Text

from user_state.cli.generation_option import Generation
from user_state.cli.terminal import Terminal, say_json
from user_state.client import UserStateClient
from user_state.durations import SECOND_US
from user_state.errors import CodecError
from user_state.printable import printable
from user_state.results import UserState
from user_state.spec import LoadedSpec, load_spec
from user_state.spec.aggregations import AGGREGATIONS, MEASURES
from user_state.times import format_time, parse_time_us

SHOWN_ENTRIES = 8
SHOWN_DIMENSIONS = 6
SIX_DIGITS = 1e6
"""Below it six digits of a fraction are shown; above it they would not even show the whole part."""
LONGEST_WHOLE = 1e15


def get(
    users: Annotated[list[str], typer.Argument(help="User ids.", show_default=False)],
    spec: Annotated[Path, typer.Option(help="The spec file.", show_default=False)],
    redis: Annotated[str, typer.Option(help="Where the records are: redis://host:port", show_default=False)],
    at: Annotated[str | None, typer.Option(help="Read as of this time (RFC 3339); default: now.")] = None,
    generation: Generation = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: user -> present, as_of, features, ...")] = False,
) -> None:
    """Read users' features, sequences and embeddings as a ranking service would.

    Example: `user-state get --spec user_state.yaml --redis redis://localhost:6379 u1 u2 --json`
    """
    at_us = None if at is None else parse_time_us(at)
    loaded = load_spec(spec)
    with UserStateClient.from_url(redis, loaded, timeout_s=5, generation=generation) as client:
        batch = client.get_many(users, at_us)
        batch = replace(batch, errors=batch.errors | client.not_records(batch))
    states = [batch[index] for index in range(len(batch))]
    if as_json:
        say_json({state.user: as_jsonable(state) for state in states}, indent=2)
    else:
        console, times, measures = Terminal(), time_columns(loaded), measured_tables(loaded)
        for state in states:
            show(console, state, times, measures)
    for user, reason in batch.errors.items():
        raise CodecError(f"cannot read the record of {printable(user)}: {reason}")


def as_jsonable(state: UserState) -> dict[str, Any]:
    """Return a state as JSON values; no value (NaN) becomes null."""
    return {
        "present": state.present,
        "as_of": format_time(state.as_of_us),
        "last_event": format_time(state.last_event_us) if state.last_event_us else None,
        "features": {name: _or_null(value) for name, value in state.features.items()},
        "arrays": {name: [_or_null(number) for number in numbers.tolist()] for name, numbers in state.arrays.items()},
        "sequences": state.sequences,
        "embeddings": {name: _numbers(vector) for name, vector in state.embeddings.items()},
        **({} if state.error is None else {"error": state.error}),
        **({"item_versions": state.item_versions, "missing_items": state.missing_items} if state.item_versions else {}),
    }


def _numbers(vector: npt.NDArray[np.float32]) -> list[Any]:
    return [_numbers(part) if part.ndim else _shortest(float(part)) for part in vector]


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else _shortest(value)


def _shortest(value: float) -> float:
    """Return a float32 as the shortest decimal that stands for it: 1079.2, not 1079.199951171875."""
    return float(str(np.float32(value)))


def time_columns(spec: LoadedSpec) -> dict[tuple[str, str], int]:
    """Return (output, column) of every list that holds times, by the schema's types, and the microseconds of its unit.

    The column of a plain list is "".
    """
    units_us = {"us": 1, "ms": 1000}
    times = {name: units_us[field.unit] for name, field in spec.schema.fields.items() if field.unit in units_us}
    found = {(name, field): field for name, sequence in spec.spec.sequences.items() for field in sequence.fields}
    for name, feature in spec.spec.features.items():
        for aggregate in feature.aggregate:
            measure = MEASURES.get(aggregate, "count")
            for over in getattr(feature, AGGREGATIONS[aggregate].over):
                output = f"{name}_{aggregate}_{over}"
                columns = {*feature.by, *feature.with_, *([] if feature.of is None else [feature.of])} - {measure}
                found |= {(output, column): column for column in columns}
                listed = [feature.of] if not feature.by else feature.by
                if len(listed) == 1 and listed[0] is not None:
                    found[output, ""] = listed[0]
    return {column: times[field] for column, field in found.items() if field in times}


def measured_tables(spec: LoadedSpec) -> dict[str, str]:
    """Return the outputs that are tables of keys, and the column with the number of each key."""
    found: dict[str, str] = {}
    for name, feature in spec.spec.features.items():
        for aggregate in feature.aggregate if feature.by else ():
            measure = MEASURES.get(aggregate, "count")
            found |= {f"{name}_{aggregate}_{over}": measure for over in getattr(feature, AGGREGATIONS[aggregate].over)}
    return {name: measure for name, measure in found.items() if measure}


def show(
    console: Terminal,
    state: UserState,
    times: Mapping[tuple[str, str], int] | None = None,
    measures: Mapping[str, str] | None = None,
) -> None:
    """Print a state for people, on a `Terminal`: counts by window, last values, the beginnings of embeddings.

    Args:
        console: where to print.
        state: what.
        times: what is shown as times, as `time_columns` has it.
        measures: which outputs are tables of keys, as `measured_tables` has it: these are shown as `key: number`.
    """
    seen = f"last event {format_time(state.last_event_us)}" if state.present else "no record: documented defaults"
    if state.error is not None:
        seen = "record cannot be read: documented defaults"
    user = Text(printable(state.user), "bold")
    console.print(Text.assemble("\n", user, f"  as of {format_time(state.as_of_us)}, {seen}"))
    console.print_table(_features_by_window(state))
    for name, numbers in state.arrays.items():
        parts = ", ".join(_number(number) for number in numbers.tolist())
        console.print(f"  {name}: [{parts}]")
    for name, values in state.sequences.items():
        columns = values if isinstance(values, dict) else {"": values}
        measure = (measures or {}).get(name)
        if measure in columns:
            console.print(f"  {name}: {_pairs(name, columns, str(measure), times or {})}")
            continue
        for field, entries in columns.items():
            label = f"{name}.{field}" if field else name
            unit_us = (times or {}).get((name, field))
            shown = ", ".join(_entry(entry, unit_us) for entry in entries[:SHOWN_ENTRIES])
            rest = f", ... ({len(entries)})" if len(entries) > SHOWN_ENTRIES else ""
            console.print(f"  {label}: {shown or '-'}{rest}")
    for name, vector in state.embeddings.items():
        for row in np.atleast_2d(vector):
            head = ", ".join(f"{component:+.3f}" for component in row[:SHOWN_DIMENSIONS])
            missing = state.missing_items.get(name, 0)
            without = f", {missing} of its items without a vector" if missing else ""
            line = f"  {name}: [{head}, ...] ({len(row)}){without}"
            console.print(line)
    for table, version in state.item_versions.items():
        told = f"version {version}" if version else "none in Redis: every item is missing"
        console.print(f"  items of {table}: {told}")


def _pairs(name: str, columns: Mapping[str, Sequence[Any]], measure: str, times: Mapping[tuple[str, str], int]) -> str:
    """Return a table of keys in a line: `music: 12, jazz: 3`; keys of several fields are `music/ios: 12`."""
    numbers = columns[measure]
    keys = [
        [_entry(value, times.get((name, field))) for value in values[:SHOWN_ENTRIES]]
        for field, values in columns.items()
        if field != measure
    ]
    shown = [
        f"{'/'.join(key)}: {_number(float(number))}"
        for *key, number in zip(*keys, numbers[:SHOWN_ENTRIES], strict=True)
    ]
    return (", ".join(shown) or "-") + (f", ... ({len(numbers)})" if len(numbers) > SHOWN_ENTRIES else "")


def _features_by_window(state: UserState) -> Table:
    """Return a table: a line a feature, a column a window, in the order of the spec."""
    windows = list(dict.fromkeys(name.rsplit("_", 1)[1] for name in state.features))
    rows: dict[str, dict[str, float]] = {}
    for name, value in state.features.items():
        feature, window = name.rsplit("_", 1)
        rows.setdefault(feature, {})[window] = value
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for window in windows:
        table.add_column(window, justify="right")
    for feature, values in rows.items():
        table.add_row(feature, *(_number(values.get(window)) for window in windows))
    return table


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if math.isnan(value):
        return "-"
    if value.is_integer() and abs(value) < LONGEST_WHOLE:
        return f"{value:,.0f}"
    return f"{value:,.6g}" if abs(value) < SIX_DIGITS else f"{_shortest(value):,}"


def _entry(entry: Any, unit_us: int | None) -> str:
    """Return a value of a list; of a time, the microseconds of its unit are given."""
    if entry is None:
        return "null"
    if isinstance(entry, list):
        return f"[{', '.join(_entry(value, unit_us) for value in entry)}]"
    if unit_us is not None and isinstance(entry, int):
        return format_time(entry * unit_us // SECOND_US * SECOND_US)
    if isinstance(entry, float):
        return _number(entry)
    return printable(str(entry))
