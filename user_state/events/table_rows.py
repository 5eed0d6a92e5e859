"""Rows of Parquet, CSV and JSON lines, as mappings of columns to values, one after the other.

    Parquet       values of Python's types; timestamps are datetimes, to the microsecond
    CSV           texts; the columns are named in the first line, and the separator is the first of tab , ; | found
                  there
    JSON lines    an object a line; whole numbers of any length stay exact

A row that cannot be told apart is a `Row` without values that says why; what follows it is read.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from user_state.errors import InputError, shorten

DELIMITERS = "\t,;|"
BATCH_ROWS = 4096
_LONGEST_CELL = 1 << 24


class Row(NamedTuple):
    """One row.

    Attributes:
        values: by column; None if it cannot be read.
        raw: the row as text, where the file has one.
        wrong: why there are no values.
    """

    values: Mapping[str, Any] | None
    raw: bytes = b""
    wrong: str = ""


class TableRows(NamedTuple):
    """An open table.

    Attributes:
        columns: their names; None if they differ from row to row.
        total: how many rows there are; None if that is not known.
        rows: yields the rows from a number on, the first being 0.
    """

    columns: list[str] | None
    total: int | None
    rows: Callable[[int], Iterator[Row]]


def csv_rows(path: str, file: BinaryIO) -> TableRows:
    """Return the rows of a delimited file.

    Raises:
        InputError: its first line names no columns, or one twice.
    """
    first = file.readline()
    _check_encoding(path, first)
    head = _decoded(first).lstrip("\ufeff").rstrip("\r\n")
    if not head.strip():
        raise InputError(f"expected a first line with column names in {path}, got an empty one")
    delimiter = next((one for one in DELIMITERS if one in head), ",")
    csv.field_size_limit(_LONGEST_CELL)
    columns = [name.strip() for name in next(csv.reader([head], delimiter=delimiter))]
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"expected different column names in {path}, got {twice} twice")

    def rows(skip: int) -> Iterator[Row]:
        file.seek(0)
        file.readline()
        found = csv.reader(map(_decoded, file), delimiter=delimiter)
        return islice(filter(None, _csv(found, columns, delimiter)), skip, None)

    return TableRows(columns, None, rows)


def _csv(reader: Any, columns: list[str], delimiter: str) -> Iterator[Row | None]:
    """Yield the rows, None for an empty line."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            yield Row(None, b"", f"expected {len(columns)} columns, got a line that cannot be read: {exc}")
            continue
        if not cells:
            yield None
        elif len(cells) != len(columns):
            yield Row(None, _as_line(cells, delimiter), f"expected {len(columns)} columns, got {len(cells)}")
        else:
            yield Row(dict(zip(columns, cells, strict=True)), _as_line(cells, delimiter))


def _as_line(cells: list[str], delimiter: str) -> bytes:
    line = io.StringIO()
    csv.writer(line, delimiter=delimiter, lineterminator="").writerow(cells)
    return line.getvalue().encode(errors="surrogateescape")


def _check_encoding(path: str, first: bytes) -> None:
    """Refuse UTF-16, in which some spreadsheets and PowerShell write."""
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"expected text in UTF-8 in {path}, got UTF-16: iconv -f UTF-16 -t UTF-8 {path} converts it")


def _decoded(line: bytes) -> str:
    return line.decode(errors="surrogateescape")


def json_rows(path: str, file: BinaryIO) -> TableRows:
    """Return the rows of a file with a JSON object a line.

    Raises:
        InputError: it is one JSON array.
    """
    first = file.read(1 << 10)
    _check_encoding(path, first)
    if first.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        raise InputError(f"expected a JSON object a line in {path}, got an array: jq -c '.[]' {path} writes lines")

    def rows(skip: int) -> Iterator[Row]:
        file.seek(0)
        lines = (line.strip(b" \t\r\n\xef\xbb\xbf") for line in file)
        return map(_of_json, islice(filter(None, lines), skip, None))

    return TableRows(None, None, rows)


def _of_json(line: bytes) -> Row:
    try:
        values = json.loads(line, parse_constant=_no_number)
    except RecursionError:
        return Row(None, line, "expected a JSON object, got one that is nested too deeply")
    except ValueError as exc:
        return Row(None, line, f"expected a JSON object, got {shorten(line[:60])}: {exc}")
    if not isinstance(values, dict):
        return Row(None, line, f"expected a JSON object, got {shorten(line[:60])}")
    return Row(values, line)


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number of JSON's")


def parquet_rows(path: str, file: BinaryIO, wanted: Callable[[list[str]], list[str]]) -> TableRows:
    """Return the rows of a Parquet file, with the columns that `wanted` chooses.

    Raises:
        InputError: it is no Parquet file, or pyarrow is missing.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as exc:
        raise InputError(f"cannot read {path}: Parquet needs the package pyarrow: pip install pyarrow") from exc
    try:
        # Timestamps of 12 bytes would wrap around as nanoseconds.
        opened = pq.ParquetFile(file, coerce_int96_timestamp_unit="us")
    except Exception as exc:  # pyarrow raises errors of its own, and others
        raise InputError(f"expected a Parquet file, got {path}: {exc}") from exc
    columns = list(opened.schema_arrow.names)
    chosen = wanted(columns)

    def rows(skip: int) -> Iterator[Row]:
        groups = list(range(opened.num_row_groups))
        while groups and skip >= opened.metadata.row_group(groups[0]).num_rows:
            skip -= opened.metadata.row_group(groups.pop(0)).num_rows
        try:
            for batch in opened.iter_batches(BATCH_ROWS, row_groups=groups, columns=chosen) if groups else ():
                if skip >= len(batch):
                    skip -= len(batch)
                    continue
                yield from rows_of_batch(batch.slice(skip))
                skip = 0
        except (OSError, ValueError) as exc:  # pyarrow's are of these kinds
            raise InputError(f"{path}: damaged: {exc}") from exc

    return TableRows(columns, opened.metadata.num_rows, rows)


def rows_of_batch(batch: Any) -> Iterator[Row]:
    """Yield the rows of a record batch; of one with a value that Python cannot hold, each by itself."""
    columns = [_to_microseconds(column) for column in batch.columns]
    names = batch.schema.names
    try:
        values = [column.to_pylist() for column in columns]
    except (ValueError, OverflowError):
        for at in range(len(batch)):
            try:
                yield Row({name: column[at].as_py() for name, column in zip(names, columns, strict=True)})
            except (ValueError, OverflowError) as exc:
                yield Row(None, b"", f"expected values in the range of Python's: {exc}")
        return
    for row in zip(*values, strict=True):
        yield Row(dict(zip(names, row, strict=True)))


def _to_microseconds(column: Any) -> Any:
    """Return a column with its timestamps in microseconds: Python's have no nanoseconds."""
    wanted = _in_microseconds(column.type)
    return column if wanted == column.type else column.cast(wanted, safe=False)


def _in_microseconds(kind: Any) -> Any:
    import pyarrow as pa

    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if pa.types.is_struct(kind):
        return pa.struct(
            [kind.field(at).with_type(_in_microseconds(kind.field(at).type)) for at in range(kind.num_fields)]
        )
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(kind.value_field.with_type(_in_microseconds(kind.value_type)))
    if pa.types.is_map(kind):
        return pa.map_(kind.key_type, _in_microseconds(kind.item_type))
    return kind
