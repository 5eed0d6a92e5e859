"""Where labels come from: a file, or anything that Arrow can read, a batch at a time.

    .parquet .pq               Parquet
    .csv .tsv, also .gz        delimited text; ids are text, an empty cell is null, other types are Arrow's guess: a
                               time with its zone is a timestamp
    .arrow .feather .ipc       Arrow's own files

A batch gets columns of its own beside those that it came with: the number of the row, the text of the user, the time in
microseconds, the hash of the label's own event. They stay inside: training rows have the first of them, as `label_row`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from user_state.errors import InputError
from user_state.history.labels import END_TIME_US, Labels, labels_of

if TYPE_CHECKING:
    import pyarrow as pa

_READ_BYTES = 1 << 20
ROWS_AT_ONCE = 100_000
ROW, USER, AT, OWN = "label_row", " user", " at_us", " own_event"
"""Of these, no label may have a column."""
PARQUET, CSV, ARROW = (".parquet", ".pq"), (".csv", ".tsv", ".csv.gz", ".tsv.gz"), (".arrow", ".feather", ".ipc")


@dataclass(frozen=True)
class LabelColumns:
    """Which columns of labels are what.

    Attributes:
        user, time: their names.
        time_unit: of whole numbers: s, ms, us or ns.
        event_id: the ids of the labels' own events; None if they have none.
    """

    user: str
    time: str
    time_unit: str | None = None
    event_id: str | None = None


@dataclass(frozen=True)
class LabelBatches:
    """Labels: the schema they came with, and batches of it."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def read_labels(source: Any, ids: Collection[str] = ()) -> LabelBatches:
    """Open labels: the path of a file, or what Arrow takes over, such as a frame of Polars, pandas or DuckDB.

    `ids` are columns of ids, which a CSV has as texts: 007 is not 7.

    Raises:
        InputError: it cannot be read.
    """
    import pyarrow as pa

    if isinstance(source, str | Path):
        return _of_file(str(source), ids)
    try:
        if isinstance(source, pa.Table):
            return LabelBatches(source.schema, iter(source.to_batches(ROWS_AT_ONCE)))
        if hasattr(source, "__arrow_c_stream__"):
            reader = pa.RecordBatchReader.from_stream(source)
            return LabelBatches(reader.schema, iter(reader))
        table = pa.Table.from_pandas(source, preserve_index=False)
    except (pa.ArrowException, AttributeError, TypeError, ValueError) as exc:
        raise InputError(f"expected a path or a table that Arrow can read, got {type(source).__name__}: {exc}") from exc
    return LabelBatches(table.schema, iter(table.to_batches(ROWS_AT_ONCE)))


def _of_file(path: str, ids: Collection[str]) -> LabelBatches:
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.ipc
    import pyarrow.parquet as pq

    name = path.lower()
    if not Path(path).is_file():
        raise InputError(f"cannot read labels from {path}: there is no such file")
    try:
        if name.endswith(PARQUET):
            # A file may be one row group: its columns are read a piece at a time.
            file = pq.ParquetFile(path, buffer_size=_READ_BYTES, pre_buffer=False)
            return LabelBatches(file.schema_arrow, _undamaged(path, file.iter_batches(ROWS_AT_ONCE)))
        if name.endswith(CSV):
            delimiter = "\t" if ".tsv" in name else ","
            reader = pa.csv.open_csv(
                path,
                parse_options=pa.csv.ParseOptions(delimiter=delimiter),
                convert_options=pa.csv.ConvertOptions(
                    column_types=dict.fromkeys(ids, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=False,
                ),
            )
            return LabelBatches(reader.schema, _undamaged(path, iter(reader)))
        if name.endswith(ARROW):
            source = pa.memory_map(path)
            try:
                table = pa.ipc.open_file(source).read_all()
            except pa.ArrowInvalid:
                source.seek(0)
                table = pa.ipc.open_stream(source).read_all()
            return LabelBatches(table.schema, iter(table.to_batches(ROWS_AT_ONCE)))
    except (OSError, ValueError) as exc:  # pyarrow's are of these kinds
        raise InputError(f"cannot read labels from {path}: {exc}") from exc
    expected = ", ".join((*PARQUET, *CSV, *ARROW))
    raise InputError(f"expected labels in a file whose name ends in one of {expected}, got {path}")


def _undamaged(path: str, batches: Iterator[Any]) -> Iterator[Any]:
    while True:
        try:
            batch = next(batches, None)
        except (OSError, ValueError) as exc:
            raise InputError(f"{path}: damaged: {exc}") from exc
        if batch is None:
            return
        yield batch


def check_names(schema: pa.Schema, outputs: pa.Schema) -> None:
    """Refuse labels with a column that training rows have by themselves.

    Raises:
        InputError: they do.
    """
    clashing = sorted(set(schema.names) & {*outputs.names, ROW, USER, AT, OWN})
    if clashing:
        raise InputError(
            f"expected labels without columns that training rows have by themselves, got {', '.join(clashing)}:"
            " rename them"
        )


def judged(batch: pa.RecordBatch, columns: LabelColumns, first_row: int) -> tuple[pa.Table, Labels]:
    """Return a batch with its columns of our own, and what it says.

    Raises:
        InputError: a label has no user, or its time cannot be told.
    """
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    labels = labels_of(table, columns.user, columns.time, columns.time_unit, columns.event_id, first_row)
    users = pa.array(labels.users, pa.string()).take(pa.array(labels.user))
    own = pa.nulls(len(batch), pa.uint64())
    if labels.own_event is not None:
        own = pa.array(labels.own_event, mask=~labels.has_own_event)
    rows = np.arange(first_row, first_row + len(batch))
    for name, values in ((ROW, pa.array(rows)), (USER, users), (AT, pa.array(labels.at_us)), (OWN, own)):
        table = table.append_column(name, values)
    return table, labels


def times_of(
    labels: LabelBatches, columns: LabelColumns, since_us: int | None, until_us: int | None
) -> tuple[int, int] | None:
    """Return the first and the last time of the labels since and before these times; None if there are no such labels.

    Raises:
        InputError: a label has no user, or its time cannot be told.
    """
    row = 0
    found: list[int] = []
    for batch in labels.batches:
        at_us = judged(batch, columns, row)[1].at_us
        row += len(batch)
        at_us = at_us[(at_us >= (since_us or 0)) & (at_us < (END_TIME_US if until_us is None else until_us))]
        if len(at_us):
            found = [min([*found, int(at_us.min())]), max([*found, int(at_us.max())])]
    return (found[0], found[1]) if found else None


def labels_in(table: pa.Table) -> Labels:
    """Return the labels of a table with our own columns; `table` of them is what they came with, and `label_row`."""
    import pyarrow as pa

    coded = table.column(USER).combine_chunks().dictionary_encode()
    own = table.column(OWN)
    return Labels(
        table.drop_columns([USER, AT, OWN]),
        coded.indices.to_numpy().astype(np.int64),
        tuple(coded.dictionary.to_pylist()),
        table.column(AT).to_numpy(),
        own.fill_null(pa.scalar(0, pa.uint64())).to_numpy(),
        np.asarray(own.is_valid().to_numpy(), np.bool_),
    )
