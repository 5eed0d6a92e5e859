"""Training rows for whoever works in Python: events and labels in, record batches out.

Anything that Arrow can read goes in: paths, tables, frames of Polars and pandas, results of DuckDB. Shards lie in a
folder for as long as the rows are taken, so that memory is bounded by the size of a shard here too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from user_state.durations import parse_duration_us
from user_state.embeddings.table import ItemTable
from user_state.errors import InputError
from user_state.events.stored_files import matching
from user_state.history.event_source import EventSource, Found
from user_state.history.item_periods import ItemPeriods
from user_state.history.item_pins import pinned
from user_state.history.label_source import LabelBatches, LabelColumns, read_labels
from user_state.history.shards import Shards
from user_state.history.training import AsOf
from user_state.history.training_batches import Answering, TrainingBatches
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec, load_spec

if TYPE_CHECKING:
    import pyarrow as pa

SHARDS = 16


def training_set(
    spec: LoadedSpec | str | Path,
    events: Any,
    labels: Any,
    *,
    as_of: AsOf = "publish",
    arrival_delay: str | None = None,
    user: str | None = None,
    time: str | None = None,
    time_unit: str | None = None,
    event_id: str | None = None,
    items: Mapping[str, str | Path | ItemTable] | None = None,
    shards: int = SHARDS,
) -> Iterator[pa.RecordBatch]:
    """Yield the labels with what serving would have answered at each; docs/history.md has the meaning.

    Args:
        spec: the spec, or its file.
        events: a path or pattern of files, a list of paths, or a table.
        labels: a path, or a table.
        as_of: `publish`: an event is seen once it was published; `event`: once it had happened.
        arrival_delay: how long an event takes from being published to being served, such as 5s; None is no time.
        user: the labels' column of users; None is the spec's name of it.
        time: the labels' column of times; None is the spec's name of the event time.
        time_unit: of times that are whole numbers: s, ms, us, ns.
        event_id: the labels' column of the events that they are made of and must not know; None is the spec's name of
            the id, if there is such a column.
        items: by table, the file or the table that embeddings are composed of.
        shards: how many parts the users are split into; one is in memory at a time.

    Raises:
        InputError: something of this cannot be used; says what.
    """
    loaded = load_spec(spec) if isinstance(spec, str | Path) else spec
    plan = compile_plan(loaded)
    if as_of not in ("publish", "event"):
        raise InputError(f"expected rows as of publish or event, got {as_of!r}")
    delay_us = parsed_delay_us(arrival_delay)
    if as_of == "event" and delay_us:
        raise InputError("expected a delay of arrival only in order of publishing: in event order nothing arrives")
    opened = read_labels(labels, id_columns(loaded, user, event_id))
    columns = label_columns(loaded, opened.schema, user=user, time=time, time_unit=time_unit, event_id=event_id)
    how = Answering(as_of, delay_us, ItemPeriods.always(pinned(loaded, plan, items or {})))
    batches = TrainingBatches(plan, opened.schema, how)
    return _rows(plan, batches, opened, columns, found_in(EventSource(plan, loaded), events), shards)


def _rows(
    plan: Plan,
    batches: TrainingBatches,
    labels: LabelBatches,
    columns: LabelColumns,
    found: Iterator[Found],
    count: int,
) -> Iterator[pa.RecordBatch]:
    with tempfile.TemporaryDirectory(prefix="user-state-history-") as folder:
        shards = Shards(Path(folder), plan, count)
        users, _, _ = shards.split_labels(labels, columns, None, None)
        shards.split_events(found, users, None, bool)
        for shard in range(count):
            yield from batches.of_shard(shards, shard, threads=os.cpu_count() or 1)[0]


def id_columns(spec: LoadedSpec, user: str | None = None, event_id: str | None = None) -> list[str]:
    """Return the labels' columns that are ids, if they are there."""
    names = spec.spec.events
    return [user or names.user, event_id or names.id]


def label_columns(
    spec: LoadedSpec,
    schema: pa.Schema,
    *,
    user: str | None = None,
    time: str | None = None,
    time_unit: str | None = None,
    event_id: str | None = None,
) -> LabelColumns:
    """Return which columns of labels are what: those that are named, else those with the spec's names."""
    names = spec.spec.events
    if event_id is None and names.id in schema.names:
        event_id = names.id
    return LabelColumns(user or names.user, time or names.time, time_unit, event_id)


def parsed_delay_us(text: str | None) -> int:
    """Return a delay in microseconds; None is 0.

    Raises:
        InputError: it is no duration.
    """
    try:
        return 0 if text in (None, "0", "0s") else parse_duration_us(str(text))
    except ValueError as exc:
        raise InputError(f"{exc}, as the delay of arrival") from None


def found_in(source: EventSource, events: Any) -> Iterator[Found]:
    """Yield the events of paths, of patterns, or of a table.

    Raises:
        InputError: there are none, or it is nothing that Arrow can read.
    """
    if isinstance(events, str | Path):
        return source.of_files(matching(str(events)))
    if isinstance(events, Sequence) and all(isinstance(one, str | Path) for one in events):
        return source.of_files([path for one in events for path in matching(str(one))])
    table = read_labels(events)
    return source.of_batches(table.schema.names, table.batches, "the table of events")
