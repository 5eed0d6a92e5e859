"""Record batches of Arrow as columns of events, where no row needs to be looked at by itself.

What a value may be is in `row_values.py` and `native/events/event_decoder.cpp`, which judge a row at a time. Here whole
columns are taken over whose type and values leave nothing to judge; of any other batch `events` returns None, and its
rows go the long way. So nothing is decided here: what is taken over is what the long way would have made of it.

    the field                    plain columns
    string                       text, dictionaries of text, whole numbers
    long, int                    whole numbers
    long of a timestamp          timestamps; whole numbers whose size says their unit (`publish_times.py`)
    double, float                numbers
    boolean                      booleans
    any of these, or null        the same, or no column

Nested and repeated fields are not plain. Pure: no files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from user_state import native
from user_state.events.limits import END_TIME_US, FIRST_TIME_US, MAX_ID_BYTES, MAX_TEXT_BYTES, check_names
from user_state.plan.plan import Plan
from user_state.spec.avro_types import looked_up, named_types
from user_state.spec.event_schema import EventSchema
from user_state.state.events import F64, I64, NULL_INT, U64, Column, Events
from user_state.state.string_dictionary import NULL_CODE, StringPool

if TYPE_CHECKING:
    import pyarrow as pa

_TIMESTAMPS_NS = {"timestamp-millis": 1_000_000, "timestamp-micros": 1000, "timestamp-nanos": 1}
_ARROW_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_UNITS_NS = (10**9, 10**6, 10**3, 1)
_LARGEST_FLOAT = float(np.finfo(np.float32).max)
_INT_BITS = 31


class NotPlain(Exception):
    """A batch whose rows have to be looked at one by one."""


class _Field(NamedTuple):
    """A field of the schema: its Avro type, nanoseconds a unit if it is a time, and whether it may be null."""

    kind: str
    unit_ns: int | None
    may_be_null: bool


class ArrowEvents:
    """Takes events out of record batches of one Arrow schema.

    Args:
        plan: what a batch of events has.
        schema: of the events.
        columns: names of the record batches' columns.
        publish_column: the column with the publish times; None if there is none.
        units_ns: by name, fields of integers that are times, and how many nanoseconds their unit has.
    """

    def __init__(
        self,
        plan: Plan,
        schema: EventSchema,
        columns: list[str],
        publish_column: str | None,
        units_ns: Mapping[str, int] | None = None,
    ) -> None:
        self._plan = plan
        self._publish_column = publish_column if publish_column in columns else None
        self._checks = check_names(plan)
        fields = _plain_fields(schema, columns, units_ns or {})
        asked = [plan.user_field, plan.id_field, plan.time_field, *(field.name for field in plan.fields)]
        lists = any(field.is_list or field.is_one_text for field in plan.fields)
        text_times = 0 in (plan.time_unit_ns, plan.published_unit_ns if plan.published_field else 1)
        is_plain = fields is not None and not lists and not text_times and all(name in fields for name in asked)
        self._fields: Mapping[str, _Field] = (fields or {}) if is_plain else {}

    def events(self, batch: pa.RecordBatch) -> Events | None:
        """Return the events of a batch, one a row; None if its rows have to be looked at one by one."""
        if not self._fields:
            return None
        import pyarrow as pa

        try:
            batch.validate(full=True)
            return self._events(batch)
        except (NotPlain, pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
            return None

    def _events(self, batch: pa.RecordBatch) -> Events:
        import pyarrow as pa

        plan = self._plan
        held = {name: _one(batch, name) for name in self._fields}
        for name, field in self._fields.items():
            _check(held[name], field, len(batch))
        if any(held[name] is None or held[name].null_count for name in (plan.user_field, plan.id_field)):
            raise NotPlain
        user, ids = (_text(held[name], 1, MAX_ID_BYTES) for name in (plan.user_field, plan.id_field))
        times_us = {
            name: _times_us(held[name], field.unit_ns)
            for name, field in self._fields.items()
            if field.unit_ns is not None and held[name] is not None and held[name].null_count < len(batch)
        }
        time_us = self._clock_us(plan.time_field, plan.time_unit_ns, held, times_us)
        if time_us is None:
            raise NotPlain
        _in_range(time_us)
        coded = user.dictionary_encode()
        code_of: dict[str, int] = {}
        columns: list[Column] = []
        for asked, check in zip(plan.fields, self._checks, strict=True):
            column, of = held[asked.name], self._fields[asked.name]
            if check in ("text", "item"):
                columns.append(_codes(column, int(check == "item"), len(batch), code_of))
            elif of.unit_ns is not None and column is not None:
                columns.append(_in_unit(times_us.get(asked.name), of.unit_ns, check, len(batch)))
            else:
                columns.append(_numbers(column, of, check, len(batch)))
        return Events(
            coded.dictionary.to_pylist(),
            coded.indices.to_numpy().astype(np.int64),
            hashes_of(ids.cast(pa.large_string())),
            time_us,
            self._published_us(batch, held, times_us, time_us),
            tuple(columns),
            StringPool.of_codes(code_of),
        )

    def _clock_us(self, name: str, unit_ns: int, held: Mapping[str, Any], times_us: Mapping[str, I64]) -> I64 | None:
        """Return the times of a field in microseconds, of a field of plain numbers by the spec's unit."""
        column = held.get(name)
        if column is None or column.null_count == len(column) or self._fields[name].unit_ns is not None:
            return times_us.get(name)
        numbers = _numbers(column, self._fields[name], "int", len(column))
        if (np.abs(numbers[numbers != NULL_INT]) > END_TIME_US * 1000 // unit_ns).any():
            raise NotPlain
        scaled = numbers * (unit_ns // 1000) if unit_ns >= 1000 else numbers // (1000 // unit_ns)
        return np.asarray(np.where(numbers == NULL_INT, NULL_INT, scaled), np.int64)

    def _published_us(
        self, batch: pa.RecordBatch, held: Mapping[str, Any], times_us: Mapping[str, I64], time_us: I64
    ) -> I64:
        """Return the column's publish times; where that is null, the event's own, else the event time."""
        name = self._plan.published_field
        own = None if name is None else self._clock_us(name, self._plan.published_unit_ns, held, times_us)
        published_us = time_us if own is None else own
        column = None if self._publish_column is None else _one(batch, self._publish_column)
        if column is not None and column.null_count < len(column):
            said_us = _times_us(column, 1)
            published_us = np.where(said_us == NULL_INT, published_us, said_us)
        published_us = np.where(published_us == NULL_INT, time_us, published_us)
        _in_range(published_us)
        return published_us


def hashes_of(texts: pa.LargeStringArray) -> U64:
    """Return xxh64 of each text; of a null it is that of nothing."""
    if not len(texts):
        return np.zeros(0, np.uint64)
    _, offsets, data = texts.buffers()
    ends = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return native.hashes_of_texts(ends, memoryview(data) if data is not None else b"", 0)


def hashes_of_users(users: Sequence[str]) -> U64:
    """Return xxh64 of each user's id, by which users are spread over shards, and a share of them is chosen."""
    import pyarrow as pa

    return hashes_of(pa.array(users, pa.large_string()))


def _plain_fields(schema: EventSchema, columns: list[str], units_ns: Mapping[str, int]) -> dict[str, _Field] | None:
    """Return the schema's plain fields, None if a column is of another or cannot be told by its name."""
    named = named_types(schema.whole)
    fields = {}
    dotted = {column.partition(".")[0] for column in columns if "." in column}
    for field in schema.whole["fields"]:
        name = field["name"]
        declared = field["type"] if isinstance(field["type"], list) else [field["type"]]
        branches = [looked_up(branch, named) for branch in declared]
        values = [branch for branch in branches if branch["type"] != "null"]
        may_be_null = len(values) < len(branches)
        missing = name not in columns and (not may_be_null or set(field.get("aliases", ())) & set(columns))
        if len(values) != 1 or missing or name in dotted or columns.count(name) > 1:
            return None
        kind, logical = values[0]["type"], values[0].get("logicalType", "").replace("local-", "")
        if kind not in _CHECKS or (logical and logical not in _TIMESTAMPS_NS):
            if name not in columns:
                continue  # of a nullable field without a column there is nothing to judge
            return None
        if "default" in field and not may_be_null:
            return None
        unit_ns = units_ns.get(name) if kind in ("int", "long") else None
        if unit_ns == 0 or (unit_ns is not None and kind == "int"):
            return None
        fields[name] = _Field(kind, _TIMESTAMPS_NS.get(logical, unit_ns), may_be_null)
    return fields


def _one(batch: pa.RecordBatch, name: str) -> Any:
    """Return a column, None if there is none."""
    import pyarrow as pa

    if name not in batch.schema.names:
        return None
    column = batch.column(name)
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _check(column: Any, field: _Field, rows: int) -> None:
    """Raise unless every value of the column is one of the field."""
    if column is None or column.null_count == rows:
        if not field.may_be_null and rows:
            raise NotPlain
        return
    if column.null_count and not field.may_be_null:
        raise NotPlain
    if field.unit_ns is None and not _CHECKS[field.kind](column):
        raise NotPlain


def _is_text(column: Any) -> bool:
    import pyarrow as pa

    kind = column.type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind))


def _is_whole(bits: int) -> Any:
    def check(column: Any) -> bool:
        import pyarrow as pa
        import pyarrow.compute as pc

        if not pa.types.is_integer(column.type):
            return False
        bounds = pc.min_max(column.cast(pa.int64()))
        return bool(-(1 << bits) <= bounds["min"].as_py() and bounds["max"].as_py() < 1 << bits)

    return check


def _is_number(largest: float) -> Any:
    def check(column: Any) -> bool:
        import pyarrow as pa
        import pyarrow.compute as pc

        if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
            return False
        numbers = column.cast(pa.float64(), safe=False)
        # Minimum and maximum pass over NaN.
        if not pc.all(pc.is_finite(numbers)).as_py():
            return False
        bounds = pc.min_max(numbers)
        return bool(-largest <= bounds["min"].as_py() and bounds["max"].as_py() <= largest)

    return check


def _is_boolean(column: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_boolean(column.type))


_CHECKS: Mapping[str, Any] = {
    "string": _is_text,
    "int": _is_whole(_INT_BITS),
    "long": _is_whole(63),
    "float": _is_number(_LARGEST_FLOAT),
    "double": _is_number(float("inf")),
    "boolean": _is_boolean,
}


def _text(column: Any, least: int, most: int) -> Any:
    """Return a column as text, of which every value has so many bytes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not _is_text(column):
        raise NotPlain
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    if len(column) > column.null_count:
        bounds = pc.min_max(pc.binary_length(column))
        if bounds["min"].as_py() < least or bounds["max"].as_py() > most:
            raise NotPlain
    return column


def _codes(column: Any, least: int, rows: int, code_of: dict[str, int]) -> I64:
    """Return a column of texts as codes, adding texts to those that have one."""
    if column is None or column.null_count == rows:
        return np.full(rows, NULL_CODE, np.int64)
    coded = _text(column, least, MAX_TEXT_BYTES).dictionary_encode()
    codes = [code_of.setdefault(text, len(code_of)) for text in coded.dictionary.to_pylist()]
    indices = coded.indices.fill_null(len(codes)).to_numpy()
    return np.asarray(np.array([*codes, NULL_CODE], np.int64)[indices])


def _numbers(column: Any, field: _Field, check: str, rows: int) -> I64 | F64:
    """Return a column of numbers or booleans, null being NULL_INT or NaN."""
    import pyarrow as pa

    if check == "float":
        if column is None or column.null_count == rows:
            return np.full(rows, np.nan)
        if field.kind == "string":
            raise NotPlain
        whole = column.cast(pa.int8()) if field.kind == "boolean" else column
        numbers = whole.cast(pa.float64(), safe=False)
        made = np.array(numbers.fill_null(np.nan) if numbers.null_count else numbers, np.float64)
        return made.astype(np.float32).astype(np.float64) if field.kind == "float" else made
    if column is None or column.null_count == rows:
        return np.full(rows, NULL_INT, np.int64)
    if field.kind not in ("int", "long", "boolean"):
        raise NotPlain
    whole = column.cast(pa.int8()) if field.kind == "boolean" else column
    numbers = np.asarray(whole.cast(pa.int64()).fill_null(NULL_INT), np.int64)
    if (numbers == NULL_INT).sum() != column.null_count:
        raise NotPlain
    return numbers


def _in_unit(time_us: I64 | None, unit_ns: int, check: str, rows: int) -> I64 | F64:
    """Return times as values of their field."""
    if time_us is None:
        time_us = np.full(rows, NULL_INT, np.int64)
    is_null = time_us == NULL_INT
    number = np.where(is_null, 0, time_us) * 1000 // unit_ns
    if check == "float":
        return np.where(is_null, np.nan, number.astype(np.float64))
    return np.where(is_null, NULL_INT, number)


def _times_us(column: Any, unit_ns: int | None) -> I64:
    """Return times in microseconds, NULL_INT for null, if the field's unit holds them exactly."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        per_unit = _ARROW_NS[kind.unit]
    elif pa.types.is_integer(kind):
        per_unit = _unit_of(column)
    else:
        raise NotPlain
    numbers = column.cast(pa.int64())
    is_null = np.asarray(numbers.is_null(), np.bool_)
    number = np.asarray(numbers.fill_null(0), np.int64)
    limit = END_TIME_US * 1000 // per_unit
    if len(number) and (np.abs(number) > limit).any():
        raise NotPlain
    time_us = number * (per_unit // 1000) if per_unit >= 1000 else number // (1000 // per_unit)
    if unit_ns is not None and unit_ns > 1000 and (time_us % (unit_ns // 1000)).any():
        raise NotPlain
    time_us[is_null] = NULL_INT
    return time_us


def _unit_of(column: Any) -> int:
    """Return the unit in nanoseconds in which all numbers lie between 1971 and 2100; no two units share a number."""
    import pyarrow.compute as pc

    bounds = pc.min_max(column)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    for unit_ns in _UNITS_NS:
        if low is not None and low * unit_ns >= FIRST_TIME_US * 1000 and high * unit_ns < END_TIME_US * 1000:
            return unit_ns
    raise NotPlain


def _in_range(times_us: I64) -> None:
    if len(times_us) and not (times_us.min() >= FIRST_TIME_US and times_us.max() < END_TIME_US):
        raise NotPlain
