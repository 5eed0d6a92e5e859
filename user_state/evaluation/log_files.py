"""Files -> interactions, in order of time.

    triples   `user item seconds`, apart by blanks or commas; a first line without a number for a time is a heading, and
              further columns are ignored: the data sets of JODIE, and TGB's wiki made from one. Seconds are counted
              from whatever the data set begins with, so they are put after the year 2000.
    table     delimited text with column names in its first line: RecBole's `.inter` and any CSV, read as
              `user-state convert` reads it
    avro      a file of events or of messages; without a spec, of interaction.avsc. An id that came before is left out

Data sets: Kumar, Zhang, Leskovec, "Predicting dynamic embedding trajectory in temporal interaction networks", KDD 2019
(JODIE); Harper, Konstan, "The MovieLens datasets", TiiS 2015.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from user_state.durations import SECOND_US
from user_state.errors import EventError, InputError, shorten
from user_state.evaluation.interactions import Interactions, in_order
from user_state.evaluation.own_spec import own_spec
from user_state.events.avro_blocks import BlockReader, each_message
from user_state.events.convert import Columns, read_log
from user_state.events.decode import EventDecoder
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.state.events import EventRow

T = TypeVar("T")
FORMATS = ("auto", "triples", "table", "avro")
AVRO_MAGIC = b"Obj\x01"
YEAR_2000_US = 946_684_800 * SECOND_US
LATEST_S = 3_000_000_000


@dataclass(frozen=True)
class Reading:
    """How to read a file.

    Attributes:
        format: one of FORMATS; `auto` looks into the file.
        columns: which column or field is what; user and time are the spec's for Avro.
        min_value: interactions with less than this in `columns.value`, or nothing, are left out, their items kept.
        spec: the spec of Avro events, whose rows the log then keeps; None for interaction.avsc.
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
        path: the file.
        reading: how to read it.
        advance: called with how many further interactions have been read, for progress.

    Raises:
        InputError: it cannot be read as what it should be; says where.
    """
    source = Path(path)
    how = reading or Reading()
    if how.format not in FORMATS:
        raise InputError(f"expected a format of {', '.join(FORMATS)}, got {how.format!r}")
    if how.min_value is not None and how.columns.value is None:
        raise InputError("expected a value column to go with a least value, got none")
    kind = _kind_of(source) if how.format == "auto" else how.format
    if kind == "avro":
        return _from_avro(source, how, advance)
    if how.spec is not None:
        raise InputError(f"expected an Avro file of the spec's events, got {source}, which is read as {kind}")
    if kind == "triples":
        if how.min_value is not None:
            raise InputError(f"expected a file with a value column for a least value, got {source}, read as triples")
        return in_order(str(source), list(_told(_triples(source), advance)))
    return _from_table(source, how, advance)


def _told(items: Iterable[T], advance: Callable[[int], object]) -> Iterator[T]:
    for item in items:
        yield item
        advance(1)


def _kind_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    if head.startswith(AVRO_MAGIC):
        return "avro"
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


def _from_avro(path: Path, how: Reading, advance: Callable[[int], object]) -> Interactions:
    loaded = own_spec() if how.spec is None else how.spec
    plan = compile_plan(loaded)
    item_field, value_field = how.columns.item, how.columns.value
    for role, name in (("item", item_field), ("value", value_field)):
        if name is not None and name not in loaded.schema.fields:
            raise InputError(
                f"expected the {role} in an event field of {loaded.schema.name}, which has"
                f" {', '.join(loaded.schema.fields)}; got {name!r}"
            )
    decoder = EventDecoder(plan, loaded.schema)
    left_out: Counter[str] = Counter()
    triples: list[tuple[str, str, int]] = []
    rows: list[EventRow] = []
    catalogue: set[str] = set()
    ids: set[tuple[str, int]] = set()
    for event, publish_us in _told(_events(path, loaded, decoder, left_out), advance):
        item = event.get(item_field)
        if not isinstance(item, str) or not item:
            left_out["without an item"] += 1
            continue
        catalogue.add(item)
        if how.min_value is not None and _is_below(event.get(str(value_field)), how.min_value):
            left_out["below the least value"] += 1
            continue
        try:
            row = decoder.row(event, publish_us)
        except EventError as exc:
            left_out[exc.reason] += 1
            continue
        if (row[0], row[1]) in ids:
            left_out["duplicate"] += 1
            continue
        ids.add((row[0], row[1]))
        triples.append((row[0], item, row[2]))
        rows.append(row)
    return in_order(
        str(path),
        triples,
        catalogue=sorted(catalogue),
        rows=None if how.spec is None else rows,
        left_out=tuple(sorted(left_out.items())),
    )


def _events(
    path: Path, loaded: LoadedSpec, decoder: EventDecoder, left_out: Counter[str]
) -> Iterator[tuple[dict[str, Any], int | None]]:
    reader = BlockReader(str(path), loaded.schema)
    try:
        for block in reader.blocks(reader.first_offset):
            for message in each_message(reader.messages([block])):
                try:
                    event = message.event if message.event is not None else decoder.decode(message.data)
                except EventError as exc:
                    left_out[exc.reason] += 1
                    continue
                yield event, message.publish_us
    finally:
        reader.close()


def _is_below(value: Any, least: float | None) -> bool:
    return least is not None and (value is None or not value >= least)
