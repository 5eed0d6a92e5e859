"""`user-state get`: what Redis holds of a few users, for people and for scripts."""

from __future__ import annotations

import datetime
import math
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import typer
from rich.table import Table
from rich.text import Text

from user_state.cli.terminal import Terminal, say_json
from user_state.client import EPOCH, UserStateClient
from user_state.durations import SECOND_US
from user_state.errors import CodecError, InputError
from user_state.printable import printable
from user_state.results import UserState

SHOWN_ENTRIES = 8
SHOWN_DIMENSIONS = 6


def get(
    users: Annotated[list[str], typer.Argument(help="User ids.", show_default=False)],
    spec: Annotated[Path, typer.Option(help="The spec file.", show_default=False)],
    redis: Annotated[str, typer.Option(help="Where the records are: redis://host:port", show_default=False)],
    at: Annotated[str | None, typer.Option(help="Read as of this time (RFC 3339); default: now.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: user -> present, as_of, features, ...")] = False,
) -> None:
    """Read users' features, sequences and embeddings as a ranking service would.

    Example: `user-state get --spec user_state.yaml --redis redis://localhost:6379 u1 u2 --json`
    """
    at_us = None if at is None else parse_time_us(at)
    with UserStateClient.from_url(redis, spec, timeout_s=5) as client:
        batch = client.get_many(users, at_us)
        batch = replace(batch, errors=batch.errors | client.not_records(batch))
    states = [batch[index] for index in range(len(batch))]
    if as_json:
        say_json({state.user: as_jsonable(state) for state in states}, indent=2)
    else:
        console = Terminal()
        for state in states:
            show(console, state)
    for user, reason in batch.errors.items():
        raise CodecError(f"cannot read the record of {printable(user)}: {reason}")


def parse_time_us(text: str) -> int:
    """Return an RFC 3339 time in microseconds UTC.

    Raises:
        InputError: it is none, or has no time zone.

    >>> parse_time_us("1970-01-02T00:00:00Z")
    86400000000
    """
    try:
        time = datetime.datetime.fromisoformat(text)
    except ValueError as exc:
        raise InputError(f"expected a time such as 2026-01-31T12:00:00Z, got {text!r}") from exc
    if time.tzinfo is None:
        raise InputError(f"expected a time with a time zone such as {text}Z, got {text!r}")
    return (time - EPOCH) // datetime.timedelta(microseconds=1)


def format_time(time_us: int) -> str:
    """Return microseconds UTC as RFC 3339.

    >>> format_time(86400000000)
    '1970-01-02T00:00:00Z'
    """
    return (EPOCH + datetime.timedelta(microseconds=time_us)).isoformat().replace("+00:00", "Z")


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


def show(console: Terminal, state: UserState) -> None:
    """Print a state for people, on a `Terminal`: counts by window, last values, the beginnings of embeddings."""
    seen = f"last event {format_time(state.last_event_us)}" if state.present else "no record: documented defaults"
    if state.error is not None:
        seen = "record cannot be read: documented defaults"
    user = Text(printable(state.user), "bold")
    console.print(Text.assemble("\n", user, f"  as of {format_time(state.as_of_us)}, {seen}"))
    console.print(_features_by_window(state), soft_wrap=False)
    for name, numbers in state.arrays.items():
        parts = ", ".join(_number(number) for number in numbers.tolist())
        console.print(f"  {name}: [{parts}]")
    for name, values in state.sequences.items():
        columns = values if isinstance(values, dict) else {name: values}
        for field, entries in columns.items():
            label = name if field == name else f"{name}.{field}"
            shown = ", ".join(_entry(field, entry) for entry in entries[:SHOWN_ENTRIES])
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


def _features_by_window(state: UserState) -> Table:
    """Return a table: a line a feature, a column a window, in the order of the spec."""
    windows = list(dict.fromkeys(name.rsplit("_", 1)[1] for name in state.features))
    rows: dict[str, dict[str, float]] = {}
    for name, value in state.features.items():
        feature, window = name.rsplit("_", 1)
        rows.setdefault(feature, {})[window] = value
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    table.add_column("")
    for window in windows:
        table.add_column(window, justify="right")
    for feature, values in rows.items():
        table.add_row(feature, *(_number(values.get(window)) for window in windows))
    return table


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return "-" if math.isnan(value) else f"{value:,.6g}"


def _entry(field: str, entry: Any) -> str:
    if entry is None:
        return "null"
    if isinstance(entry, int) and field.endswith("time"):
        return format_time(entry // SECOND_US * SECOND_US)
    if isinstance(entry, float):
        return _number(entry)
    return printable(str(entry))
