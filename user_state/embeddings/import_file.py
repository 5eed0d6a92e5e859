"""Tables of item vectors from the files that models leave behind: numpy's .npz, Avro, Parquet.

    .npz       arrays `ids` and `vectors` (table_file.py)
    .avro      an Avro object container file: a field with the id and an array of floats or doubles a record
    .parquet   a column of ids and one of lists of floats; needs pyarrow, which comes with the pipeline

An id is a text, a whole number or bytes, and gets the text that it has in events (`user_state/id_text.py`).
What is no table is refused by name, before anything is used: see `checked_table`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import numpy.typing as npt

from user_state.embeddings.table import ItemTable, checked_table
from user_state.embeddings.table_file import read_table
from user_state.errors import InputError, shorten
from user_state.id_text import id_text

ROWS_AT_ONCE = 10_000
AN_ID = "texts, whole numbers or bytes"


def import_table(path: str | Path, *, id_column: str = "id", vector_column: str = "vector") -> ItemTable:
    """Return the table in a file of any of these kinds, by the end of its name.

    Args:
        path: the file.
        id_column: what Avro and Parquet files call the id.
        vector_column: and the vector.

    Raises:
        InputError: it is none of them, or holds no table.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".npz":
            return read_table(path)
        case ".avro":
            return _read_avro(path, id_column, vector_column)
        case ".parquet":
            return _read_parquet(path, id_column, vector_column)
    raise InputError(f"expected a table in a file named .npz, .avro or .parquet, got {path}")


def _read_avro(path: Path, id_column: str, vector_column: str) -> ItemTable:
    import fastavro

    from user_state.spec.event_schema import parse_event_schema
    from user_state.spec.schema_bounds import check_bounds_of_fastavro

    ids: list[str] = []
    vectors: list[Sequence[float]] = []
    try:
        with path.open("rb") as file:
            reader = fastavro.reader(file)
            # One that takes long to read is refused.
            check_bounds_of_fastavro(parse_event_schema(json.loads(reader.metadata["avro.schema"])).whole)
            for number, record in enumerate(reader):
                _has_columns(record, (id_column, vector_column), path)
                item, vector = record[id_column], record[vector_column]
                if not isinstance(item, str | int | bytes | UUID) or isinstance(item, bool):
                    raise InputError(f"expected {AN_ID} for ids in {path}, got {shorten(item)} in row {number + 1}")
                if not isinstance(vector, list) or (vectors and len(vector) != len(vectors[0])):
                    expected = f"{len(vectors[0])} numbers, as in the first row," if vectors else "a list of numbers"
                    got = len(vector) if isinstance(vector, list) else shorten(vector)
                    raise InputError(f"expected {expected} for {shorten(item)} in {path}, got {got}")
                ids.append(id_text(item))
                vectors.append(vector)
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except InputError:
        raise
    except Exception as exc:  # fastavro raises whatever the damaged bytes lead it to
        raise InputError(f"expected an Avro file, got {path}: {exc}") from exc
    return checked_table(ids, _numbers(vectors, path), str(path))


def _read_parquet(path: Path, id_column: str, vector_column: str) -> ItemTable:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as exc:
        raise InputError(
            f"cannot read {path} without pyarrow: pip install pyarrow (it comes with user-state[pipeline]),"
            " or convert the table to .npz or .avro"
        ) from exc
    ids: list[str] = []
    blocks: list[npt.NDArray[np.float64]] = []
    try:
        with parquet.ParquetFile(path) as file:
            _has_columns(file.schema_arrow.names, (id_column, vector_column), path)
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=[id_column, vector_column]):
                held, lists = batch.column(id_column), batch.column(vector_column)
                if pyarrow.types.is_dictionary(held.type):
                    held = held.dictionary_decode()
                if not any(is_type(held.type) for is_type in _id_types(pyarrow.types)):
                    raise InputError(f"expected {AN_ID} for ids in {path}, got {held.type}")
                if held.null_count or lists.null_count:
                    raise InputError(f"expected an id and a vector in every row of {path}, got nulls")
                ids += map(id_text, held.to_pylist())
                blocks.append(_lists(lists, blocks, ids, path))
    except OSError as exc:
        raise InputError(f"cannot read {path}: {exc.strerror or exc}") from exc
    except pyarrow.ArrowException as exc:
        raise InputError(f"expected a Parquet file, got {path}: {exc}") from exc
    return checked_table(ids, np.concatenate(blocks) if blocks else np.zeros((0, 0)), str(path))


def _id_types(types: Any) -> Sequence[Callable[[Any], bool]]:
    """Return what says of a column's type that ids may have it."""
    of_bytes = types.is_binary, types.is_large_binary, types.is_fixed_size_binary
    return types.is_string, types.is_large_string, types.is_integer, *of_bytes


def _lists(lists: Any, before: list[npt.NDArray[np.float64]], ids: list[str], path: Path) -> npt.NDArray[np.float64]:
    """Return a batch's lists of numbers as rows, all as long as those before."""
    import pyarrow

    kind = lists.type
    listed = pyarrow.types.is_list(kind) or pyarrow.types.is_large_list(kind) or pyarrow.types.is_fixed_size_list(kind)
    if not listed or not pyarrow.types.is_floating(kind.value_type):
        raise InputError(f"expected lists of floats for vectors in {path}, got {kind}")
    lengths = np.array([len(one) for one in lists]) if len(lists) else np.zeros(1, np.int64)
    width = before[0].shape[1] if before else int(lengths[0])
    if (lengths != width).any():
        at = int(np.argmax(lengths != width))
        item = ids[len(ids) - len(lists) + at]
        raise InputError(
            f"expected {width} numbers, as in the first row, for {shorten(item)} in {path}, got {lengths[at]}"
        )
    numbers = lists.flatten()
    if numbers.null_count:
        raise InputError(f"expected numbers in every vector in {path}, got nulls")
    flat: npt.NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False).astype(np.float64)
    return flat.reshape(len(lists), width)


def _has_columns(there: Iterable[Any], wanted: Sequence[str], path: Path) -> None:
    listed = list(there)
    for name in wanted:
        if name not in listed:
            columns = ", ".join(map(str, listed))
            raise InputError(
                f"expected a column {name!r} in {path}, got {columns}; --id-column and --vector-column say"
            )


def _numbers(vectors: list[Sequence[float]], path: Path) -> npt.NDArray[np.float64]:
    try:
        return np.array(vectors, np.float64).reshape(len(vectors), -1) if vectors else np.zeros((0, 0))
    except (ValueError, TypeError) as exc:
        raise InputError(f"expected numbers in every vector in {path}: {exc}") from exc
