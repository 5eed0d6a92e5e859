"""Batches of events as tables of Arrow, for shards on disk and between steps of a job.

user           text
id             uint64, hash of the event id
time           int64, microseconds UTC; so is `published`
field0, ...    the plan's fields: text, float64 or int64, or large lists of these

Null is null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from user_state.state.events import I64, NULL_INT, Column, Events, ListColumn
from user_state.state.string_dictionary import NULL_CODE, StringPool

if TYPE_CHECKING:
    import pyarrow as pa

USER, ID, TIME, PUBLISHED = "user", "id", "time", "published"


class EventTables:
    """Events of one plan as tables, and back; `kinds` are the plan's."""

    def __init__(self, kinds: str) -> None:
        import pyarrow as pa

        self._kinds = kinds
        types = {"s": pa.string(), "f": pa.float64(), "i": pa.int64(), "b": pa.int64()}
        fields = [(USER, pa.string()), (ID, pa.uint64()), (TIME, pa.int64()), (PUBLISHED, pa.int64())]
        for at, kind in enumerate(kinds):
            kept = types[kind.lower()]
            fields.append((f"field{at}", pa.large_list(kept) if kind.isupper() else kept))
        self.schema: pa.Schema = pa.schema(fields)

    def table(self, events: Events) -> pa.Table:
        """Return events as a table."""
        import pyarrow as pa

        arrays = [_texts(pa.array(events.users, pa.string()), events.user)]
        arrays += [pa.array(column) for column in (events.id_hash, events.time_us, events.published_us)]
        texts = pa.array(events.pool.texts, pa.string())
        for column, kind in zip(events.columns, self._kinds, strict=True):
            values = column.values if isinstance(column, ListColumn) else column
            made = _texts(texts, values) if kind in "sS" else pa.array(values)
            if isinstance(column, ListColumn):
                made = pa.LargeListArray.from_arrays(pa.array(column.ends), made)
            arrays.append(made)
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def events(self, table: pa.Table) -> Events:
        """Return the events of a table, in its order; users in the order in which they come first."""
        import pyarrow as pa

        coded = _coded(table.column(USER))
        users, user = (coded[0].to_pylist(), coded[1]) if len(table) else ([], np.zeros(0, np.int64))
        code_of: dict[str, int] = {}
        columns: list[Column] = []
        for at, kind in enumerate(self._kinds):
            column = table.column(f"field{at}")
            if kind.isupper():
                lists = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
                ends = np.asarray(lists.offsets, np.int64) - (lists.offsets[0].as_py() if len(lists) else 0)
                ends = ends if len(ends) else np.zeros(1, np.int64)
                columns.append(ListColumn(ends, _values(pa.chunked_array([lists.flatten()]), kind.lower(), code_of)))
            else:
                columns.append(_values(column, kind, code_of))
        ids, time_us, published_us = (table.column(name).to_numpy() for name in (ID, TIME, PUBLISHED))
        return Events(users, user, ids, time_us, published_us, tuple(columns), StringPool.of_codes(code_of))


def _texts(texts: pa.Array, codes: I64) -> pa.Array:
    """Return the texts of codes, null for NULL_CODE."""
    import pyarrow as pa

    is_null = codes == NULL_CODE
    return texts.take(pa.array(np.where(is_null, 0, codes), mask=is_null))


def _coded(column: pa.ChunkedArray) -> tuple[Any, I64]:
    """Return (different texts in order of their coming, (n,) which of them each is, NULL_CODE for null)."""
    coded = column.dictionary_encode()
    if not coded.num_chunks:
        return coded.type.value_type, np.zeros(0, np.int64)
    indices = [chunk.indices.fill_null(NULL_CODE).to_numpy().astype(np.int64) for chunk in coded.chunks]
    return coded.chunk(coded.num_chunks - 1).dictionary, np.concatenate(indices)


def _values(column: pa.ChunkedArray, kind: str, code_of: dict[str, int]) -> Any:
    """Return values as `Events` has them; texts get codes."""
    if kind == "f":
        return column.fill_null(np.nan).to_numpy().astype(np.float64)
    if kind != "s":
        return column.fill_null(NULL_INT).to_numpy().astype(np.int64)
    if not len(column):
        return np.zeros(0, np.int64)
    texts, indices = _coded(column)
    codes = [code_of.setdefault(text, len(code_of)) for text in texts.to_pylist()]
    return np.array([*codes, NULL_CODE], np.int64)[indices]
