"""Finished outputs as Arrow columns: what a training set's rows are made of.

    a number                     float32
    several numbers (histogram)  fixed_size_list<float32>
    a list (last_k)              list<...>, named as the output
    a sequence, a table of keys  a list<...> a field, named output.field; their offsets are jagged lengths
    an array in a sequence       list<list<...>>, null for none
    an embedding                 fixed_size_list<float32>; interests a fixed_size_list of those
    present                      whether the user had done anything by then
    error                        why there is no answer, null where there is one
    missing_items.{embedding}    how many of the last events name an item without a vector

Texts are dictionaries. They are made of the codes that records have, without making a Python string a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from user_state.plan.outputs import EmbeddingOutput, InterestsOutput, InterestWeightsOutput, ListOutput, SequenceOutput
from user_state.plan.plan import Plan
from user_state.plan.reading_program import REAL, TEXT, TIME, ListShape, compile_program
from user_state.reading.features import Finished
from user_state.state.events import I64, NULL_INT
from user_state.state.padding import Padded
from user_state.state.string_dictionary import NULL_CODE, StringPool

if TYPE_CHECKING:
    import pyarrow as pa

PRESENT, ERROR, MISSING = "present", "error", "missing_items"


class RowWriter:
    """Turns finished outputs of one plan into columns.

    Args:
        plan: with the outputs that are finished, as the reader's.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._program = compile_program(plan, whole=False)
        self._lists = self._program.lists
        self._times = {
            output.name: {field.name for field in output.fields if field.name == plan.time_field}
            for output in plan.all_lists
            if isinstance(output, ListOutput | SequenceOutput)
        }

    def schema(self) -> pa.Schema:
        """Return names and types of the columns, in order."""
        return self._pa().schema([(name, kind) for name, kind in self._fields()])

    def columns(self, finished: Finished) -> list[pa.Array]:
        """Return n values of each column, in the order of the schema."""
        return list(self._made(finished))

    def _fields(self) -> Iterator[tuple[str, pa.DataType]]:
        pa = self._pa()
        yield PRESENT, pa.bool_()
        yield ERROR, pa.string()
        for scalar in self._plan.scalars:
            yield scalar.name, pa.float32()
        for name, size in self._array_sizes():
            yield name, pa.list_(pa.float32(), size)
        for shape in self._lists:
            for column, kind in shape.columns:
                yield _column_name(shape, column), pa.list_(self._value_type(shape, column, kind))
        for output in self._plan.embeddings:
            vector = pa.list_(pa.float32(), output.dimensions)
            yield output.name, pa.list_(vector, output.most) if isinstance(output, InterestsOutput) else vector
        for name in self._composed():
            yield f"{MISSING}.{name}", pa.int64()

    def _made(self, finished: Finished) -> Iterator[pa.Array]:
        pa = self._pa()
        count = len(finished.present)
        yield pa.array(finished.present)
        errors = [finished.errors.get(row) for row in range(count)] if finished.errors else [None] * count
        yield pa.array(errors, pa.string())
        for column in range(len(finished.names)):
            yield pa.array(np.ascontiguousarray(finished.values[:, column]))
        for array, size in self._array_sizes():
            yield _fixed(finished.arrays[array].reshape(count, size))
        for shape in self._lists:
            padded = finished.sequences[shape.name]
            offsets = np.zeros(count + 1, np.int32)
            np.cumsum(padded.length, out=offsets[1:])
            mask = padded.mask
            for name, kind in shape.columns:
                values = self._values(shape, padded, name, kind, mask)
                yield pa.ListArray.from_arrays(pa.array(offsets), values)
        for output in self._plan.embeddings:
            vectors = finished.embeddings[output.name]
            rows = _fixed(vectors.reshape(-1, output.dimensions))
            if isinstance(output, InterestsOutput):
                rows = pa.FixedSizeListArray.from_arrays(rows, output.most)
            yield rows
        for name in self._composed():
            yield pa.array(finished.missing_items[name], pa.int64())

    def _values(
        self, shape: ListShape, padded: Padded, column: str, kind: int, mask: npt.NDArray[np.bool_]
    ) -> pa.Array:
        pa = self._pa()
        if column in shape.lists:
            return pa.array(padded.columns[column][mask].tolist(), self._value_type(shape, column, kind))
        values = padded.grids[column][mask]
        if kind == TEXT:
            used, codes = np.unique(values, return_inverse=True)
            # Several codes may stand for one text.
            coded = _texts_of(padded.pool, used).dictionary_encode()
            return pa.DictionaryArray.from_arrays(coded.indices.take(pa.array(codes)), coded.dictionary)
        if kind == REAL:
            return pa.array(values, pa.float64(), mask=np.isnan(values))
        return pa.array(values, pa.int64(), mask=values == NULL_INT).cast(self._value_type(shape, column, kind))

    def _value_type(self, shape: ListShape, column: str, kind: int) -> pa.DataType:
        pa = self._pa()
        if column in shape.lists:
            of = {"string": pa.string(), "float": pa.float64()}
            return pa.list_(of.get(shape.lists[column], pa.int64()))
        if kind == TEXT:
            return pa.dictionary(pa.int32(), pa.string())
        if kind == REAL:
            return pa.float64()
        is_time = kind == TIME or column in self._times.get(shape.name, ())
        return pa.timestamp("us", tz="UTC") if is_time else pa.int64()

    def _array_sizes(self) -> list[tuple[str, int]]:
        sizes = dict(self._program.arrays)
        return [
            (one.name, one.of.most if isinstance(one, InterestWeightsOutput) else sizes[one.name])
            for one in self._plan.arrays
        ]

    def _composed(self) -> list[str]:
        return [output.name for output in self._plan.embeddings if not isinstance(output, EmbeddingOutput)]

    def _pa(self) -> Any:
        import pyarrow  # only whoever makes a training set needs it

        return pyarrow


def _column_name(shape: ListShape, column: str) -> str:
    return shape.name if shape.single else f"{shape.name}.{column}"


def _texts_of(pool: StringPool, codes: I64) -> Any:
    """Return the texts of codes, null for NULL_CODE."""
    import pyarrow as pa

    if pool.utf8 is None:
        return pa.array(pool.objects[codes], pa.string())
    joined, lengths = pool.utf8
    ends = np.zeros(len(pool) + 1, np.int64)
    np.cumsum(np.frombuffer(lengths, np.uint16), out=ends[1:])
    texts = pa.LargeStringArray.from_buffers(len(pool), pa.py_buffer(ends), pa.py_buffer(joined))
    is_null = codes == NULL_CODE
    return texts.take(pa.array(np.where(is_null, 0, codes), mask=is_null)).cast(pa.string())


def _fixed(rows: npt.NDArray[np.float32]) -> Any:
    """Return (n, size) numbers as n lists of one size."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows).reshape(-1)), rows.shape[1])
