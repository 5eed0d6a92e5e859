"""Files -> interactions, in order of time.

    triples   `user item seconds`, apart by blanks or commas; a first line without a number for a time is a heading, and
              further columns are ignored: the data sets of JODIE, and TGB's wiki made from one. Seconds are counted
              from whatever the data set begins with, so they are put after the year 2000.
    table     delimited text with column names in its first line: RecBole's `.inter` and any CSV, read as
              `user-state convert` reads it
    events    files of events, Avro, Parquet, CSV or JSON lines, one or all that match a pattern (`event_log.py`);
              without a spec, of interaction.avsc

Data sets: Kumar, Zhang, Leskovec, "Predicting dynamic embedding trajectory in temporal interaction networks", KDD 2019
(JODIE); Harper, Konstan, "The MovieLens datasets", TiiS 2015.
"""

from __future__ import annotations

import glob
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from user_state.durations import SECOND_US
from user_state.errors import InputError, shorten
from user_state.evaluation.event_log import read_event_log
from user_state.evaluation.interactions import Interactions, in_order
from user_state.evaluation.own_spec import own_spec
from user_state.events.convert import Columns, read_log
from user_state.events.row_files import is_row_file
from user_state.events.stored_files import has_scheme, matching, open_stored
from user_state.spec import LoadedSpec

T = TypeVar("T")
FORMATS = ("auto", "triples", "table", "events", "avro")
"""`avro` is another word for `events`."""
AVRO_MAGIC, PARQUET_MAGIC = b"Obj\x01", b"PAR1"
YEAR_2000_US = 946_684_800 * SECOND_US
LATEST_S = 3_000_000_000


@dataclass(frozen=True)
class Reading:
    """How to read a file.

    Attributes:
        format: one of FORMATS; `auto` looks into the file.
        columns: which column or field is what; user and time of events are the spec's.
        min_value: interactions with less than this in `columns.value`, or nothing, are left out, their items kept.
        spec: the spec of the events, whose rows the log then keeps; None for interaction.avsc.
    """

    format: str = "auto"
    columns: Columns = field(default_factory=Columns)
    min_value: float | None = None
    spec: LoadedSpec | None = None


def read_interactions(
    path: str | Path, reading: Reading | None = None, advance: Callable[[int], object] = bool
) -> Interactions:
    """Return the file's interactions.

    Args:
        path: the file; of events, also a pattern.
        reading: how to read it.
        advance: called with how many further interactions have been read, for progress.

    Raises:
        InputError: it cannot be read as what it should be; says where.
    """
    how = reading or Reading()
    if how.format not in FORMATS:
        raise InputError(f"expected a format of {', '.join(FORMATS[:-1])}, got {how.format!r}")
    if how.min_value is not None and how.columns.value is None:
        raise InputError("expected a value column to go with a least value, got none")
    paths = _matching(str(path))
    kind = _kind_of(paths[0], how) if how.format == "auto" else how.format
    if kind in ("events", "avro"):
        return _from_events(paths, str(path), how, advance)
    if how.spec is not None:
        raise InputError(f"expected a file of the spec's events, got {path}, which is read as {kind}")
    if len(paths) > 1:
        raise InputError(f"expected one file of this kind, got {len(paths)} that match {path}")
    source = Path(paths[0])
    if kind == "triples":
        if how.min_value is not None:
            raise InputError(f"expected a file with a value column for a least value, got {source}, read as triples")
        return in_order(str(source), list(_told(_triples(source), advance)))
    return _from_table(source, how, advance)


def _matching(pattern: str) -> list[str]:
    """Return the files of a path or pattern by name; a path that is no file stays, to be told of as it is opened."""
    if has_scheme(pattern):
        return matching(pattern)
    return sorted(glob.glob(pattern, recursive=True)) or [pattern]


def _told(items: Iterable[T], advance: Callable[[int], object]) -> Iterator[T]:
    for item in items:
        yield item
        advance(1)


def _kind_of(path: str, how: Reading) -> str:
    if how.spec is not None and is_row_file(path):
        return "events"
    try:
        with open_stored(path) as file:
            head = file.read(4096)
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    if head.startswith((AVRO_MAGIC, PARQUET_MAGIC)):
        return "events"
    first = head.split(b"\n", 1)[0].decode("utf-8", "replace")
    return "triples" if _triple(first) is not None else "table"


def _triple(line: str) -> tuple[str, str, int] | None:
    """Return (user, item, time in microseconds since the data set's start), or None if the line holds none."""
    cells = line.replace(",", " ").split()
    if len(cells) < 3:
        return None
    try:
        seconds = float(cells[2])
    except ValueError:
        return None
    if not (math.isfinite(seconds) and 0 <= seconds < LATEST_S):
        return None
    return cells[0], cells[1], round(seconds * SECOND_US)


def _triples(path: Path) -> Iterator[tuple[str, str, int]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                found = _triple(line)
                if found is None:
                    if number == 1:
                        continue
                    raise InputError(f"{path}:{number}: expected `user item seconds`, got {shorten(line.rstrip())}")
                yield found[0], found[1], YEAR_2000_US + found[2]
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except UnicodeDecodeError as exc:
        raise InputError(f"expected UTF-8 in {path}: {exc}") from exc


def _from_table(path: Path, how: Reading, advance: Callable[[int], object]) -> Interactions:
    triples, catalogue, below = [], set(), 0
    for event in _told(read_log(path, how.columns), advance):
        catalogue.add(event["item_id"])
        if _is_below(event["value"], how.min_value):
            below += 1
        else:
            triples.append((event["user_id"], event["item_id"], int(event["event_time"])))
    return in_order(str(path), triples, catalogue=sorted(catalogue), left_out=(("below the least value", below),))


def _from_events(paths: Sequence[str], source: str, how: Reading, advance: Callable[[int], object]) -> Interactions:
    return read_event_log(
        paths,
        own_spec() if how.spec is None else how.spec,
        how.columns.item,
        how.columns.value,
        how.min_value,
        with_rows=how.spec is not None,
        source=source,
        advance=advance,
    )


def _is_below(value: Any, least: float | None) -> bool:
    return least is not None and (value is None or not value >= least)
