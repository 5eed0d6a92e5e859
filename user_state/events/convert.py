"""A delimited file with named columns -> Avro events of `interaction.avsc`, in order of time.

Made for the logs people have: one row an interaction, some column each for user, item and time. Columns are found by
their name in the first line; a type after a colon, as RecBole writes it (`user_id:token`), is not part of the name.

    event_id    {prefix}-{user}-{item}-{time}, and -2, -3, ... for rows that would have the same one: the same file
                gives the same ids, so converting and publishing twice counts nothing twice
    action      the action column; else `like` from a value of `like_at` on and `view` below; else `view`
    value       the value column, null where it is empty
    category    the first of the categories of the item (`a|b`, or `a b` in a RecBole token_seq)
    published   null: a log does not know it, so the pipeline takes the event time

Rows are sorted by time because that is how they happened; a pipeline would call most of an unsorted log late.
They are sorted in memory, about 500 bytes a row.
"""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from user_state.errors import InputError, shorten
from user_state.events.avro_files import interaction_schema, write_events
from user_state.events.limits import END_TIME_US, FIRST_TIME_US

TIME_UNITS_US = {"s": 1_000_000, "ms": 1_000, "us": 1}
DELIMITERS = "\t,;|"

Row = dict[str, Any]
Rows = Iterator[tuple[int, list[str]]]


@dataclass(frozen=True)
class Columns:
    """Which column is what, and how to read it; None is no such column.

    Attributes:
        user, item, time: always needed.
        time_unit: s, ms or us since 1970.
        value: a number.
        action: its text is the event's action.
        like_at: values from here on are `like`, others `view`.
        category: in the items file if there is one, else in the file itself.
        delimiter: one character; None finds it in the first line.
    """

    user: str = "user_id"
    item: str = "item_id"
    time: str = "timestamp"
    time_unit: str = "s"
    value: str | None = None
    action: str | None = None
    like_at: float | None = None
    category: str | None = None
    delimiter: str | None = None

    def check(self) -> None:
        """Raise InputError if the settings do not fit together."""
        if self.time_unit not in TIME_UNITS_US:
            raise InputError(f"expected a time unit of {', '.join(TIME_UNITS_US)}, got {self.time_unit!r}")
        if self.action is not None and self.like_at is not None:
            raise InputError("expected an action column or a value from which on to like, got both")
        if self.like_at is not None and self.value is None:
            raise InputError("expected a value column to like from a value on, got none")
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise InputError(f"expected a delimiter of one character, got {self.delimiter!r}")


def convert(
    path_in: str | os.PathLike[str],
    path_out: str | os.PathLike[str],
    columns: Columns,
    *,
    items: str | os.PathLike[str] | None = None,
    id_prefix: str | None = None,
    watch: Callable[[Iterable[Row]], Iterable[Row]] = iter,
) -> int:
    """Convert the file `path_in` to Avro events in `path_out` and return how many there are.

    Args:
        path_in: the delimited file, UTF-8.
        path_out: the Avro file to write.
        columns: which column is what.
        items: a delimited file with a row an item, in which `columns.category` is looked up by `columns.item`.
        id_prefix: what event ids begin with; the name of `path_in` without its ending if not given.
        watch: passes on the events as they are read, for progress.

    Raises:
        InputError: a file that cannot be read or written, a column that is not there, or a row that is no event.
    """
    columns.check()
    source = Path(path_in)
    categories = None if items is None else _categories(Path(items), columns)
    prefix = source.stem if id_prefix is None else id_prefix
    events = sorted(watch(_events(source, columns, categories, prefix)), key=lambda event: int(event["event_time"]))
    write_events(path_out, events, interaction_schema())
    return len(events)


def read_log(path: str | os.PathLike[str], columns: Columns) -> Iterator[Row]:
    """Yield the events of a delimited file one after the other, in the order of the file.

    Raises:
        InputError: as `convert`, except for what concerns the file that is written.
    """
    columns.check()
    source = Path(path)
    yield from _events(source, columns, None, source.stem)


def _events(path: Path, columns: Columns, categories: dict[str, str] | None, prefix: str) -> Iterator[Row]:
    table = _Table(path, columns.delimiter)
    user, item, time = (table.column(name) for name in (columns.user, columns.item, columns.time))
    value = None if columns.value is None else table.column(columns.value)
    action = None if columns.action is None else table.column(columns.action)
    category = None
    if columns.category is not None and categories is None:
        category = table.column(columns.category)
    made: dict[str, int] = {}
    for line, cells in table.rows():
        where = f"{path}:{line}"
        for role, name, text in (("user", columns.user, cells[user]), ("item", columns.item, cells[item])):
            if not text:
                raise InputError(f"{where}: expected the {role} in column {name}, got nothing")
        number = None if value is None else _number(cells[value], where, columns.value)
        yield {
            "event_id": _unused(f"{prefix}-{cells[user]}-{cells[item]}-{cells[time]}", made),
            "user_id": cells[user],
            "item_id": cells[item],
            "action": _like_or_view(number, columns.like_at) if action is None else cells[action],
            "event_time": _time_us(cells[time], columns, where),
            "value": number,
            "category": categories.get(cells[item]) if categories is not None else table.first_of(cells, category),
        }


def _categories(path: Path, columns: Columns) -> dict[str, str]:
    """Return each item's first category; items without one are not in it."""
    if columns.category is None:
        raise InputError(f"expected a category column to look up in {path}, got none")
    table = _Table(path, columns.delimiter)
    item, category = table.column(columns.item), table.column(columns.category)
    firsts = ((cells[item], table.first_of(cells, category)) for _, cells in table.rows())
    return {name: first for name, first in firsts if first is not None}


class _Table:
    """A delimited file: its header, and its rows with their line numbers."""

    def __init__(self, path: Path, delimiter: str | None) -> None:
        self.path = path
        self._lines = self._read()
        header = next(self._lines, "").lstrip("\ufeff").rstrip("\r\n")
        if not header:
            raise InputError(f"expected a first line with column names in {path}, got an empty one")
        self._delimiter = delimiter or next((d for d in DELIMITERS if d in header), "\t")
        heads = next(csv.reader([header], delimiter=self._delimiter))
        self.names = [head.partition(":")[0].strip() for head in heads]
        self._lists = [head.endswith("token_seq") for head in heads]

    def _read(self) -> Iterator[str]:
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                yield from file
        except OSError as exc:
            raise InputError(f"cannot read {self.path}: {exc.strerror or exc}") from exc
        except UnicodeDecodeError as exc:
            raise InputError(f"expected UTF-8 in {self.path}: {exc}") from exc

    def column(self, name: str) -> int:
        """Return the position of the column `name`, with or without its type."""
        plain = name.partition(":")[0]
        if plain not in self.names:
            raise InputError(f"expected a column {name!r} in {self.path}, which has {', '.join(self.names)}")
        return self.names.index(plain)

    def rows(self) -> Rows:
        """Yield (line number, cells) of every row that is not empty."""
        # Tab-separated files hold quotes as plain characters; elsewhere a quoted cell may hold the delimiter.
        if self._delimiter == "\t":
            reader = csv.reader(self._lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        else:
            reader = csv.reader(self._lines, delimiter=self._delimiter)
        try:
            for cells in reader:
                if not cells:
                    continue
                if len(cells) != len(self.names):
                    raise InputError(
                        f"{self.path}:{reader.line_num + 1}: expected {len(self.names)} columns, got {len(cells)}"
                    )
                yield reader.line_num + 1, cells
        except csv.Error as exc:
            raise InputError(f"{self.path}:{reader.line_num + 1}: {exc}") from exc

    def first_of(self, cells: list[str], column: int | None) -> str | None:
        """Return the first of several values in a cell, None if it is empty or there is no such column."""
        if column is None:
            return None
        values = cells[column].split() if self._lists[column] else cells[column].split("|")
        return values[0].strip() or None if values else None


def _number(text: str, where: str, column: str | None) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: expected a number in column {column}, got {shorten(text)}")
    return number


def _time_us(text: str, columns: Columns, where: str) -> int:
    try:
        time_us = int(Decimal(text) * TIME_UNITS_US[columns.time_unit])
    except (InvalidOperation, ValueError, OverflowError):
        raise InputError(f"{where}: expected a number in column {columns.time}, got {shorten(text)}") from None
    if not FIRST_TIME_US <= time_us < END_TIME_US:
        raise InputError(
            f"{where}: expected a time between 1971 and 2100 in column {columns.time}, got {shorten(text)} "
            f"{columns.time_unit}; is the time unit right?"
        )
    return time_us


def _unused(event_id: str, made: dict[str, int]) -> str:
    """Return `event_id`, numbered if it is in `made` (id -> rows that wanted it) already, and note it there."""
    unused = event_id
    while unused in made:
        made[event_id] += 1
        unused = f"{event_id}-{made[event_id]}"
    made[unused] = 1
    return unused


def _like_or_view(number: float | None, like_at: float | None) -> str:
    return "like" if like_at is not None and number is not None and number >= like_at else "view"
