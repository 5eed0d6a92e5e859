"""Parquet as pandas, DuckDB, Polars and Spark write it, written here with the types, names and metadata that they use.

None of them is a dependency; pyarrow writes the same types of columns:

    pandas      object and categorical columns, whole numbers beside nulls as doubles, nanoseconds, `__index_level_0__`
    DuckDB      UUID, sums (HUGEINT) as doubles, DECIMAL, TIMESTAMP WITH TIME ZONE, DATE, TIME, ENUM, STRUCT, MAP, LIST
    Polars      large and view strings, large lists, unsigned integers, times without a zone, Categorical
    Spark       times of twelve bytes, binary without a logical type for text, arrays with nulls
"""

from __future__ import annotations

import datetime
import json
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from user_state.events.avro_blocks import each_message
from user_state.events.decode import EventDecoder
from user_state.events.row_files import RowFile
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.spec.event_schema import parse_event_schema
from user_state.spec.model import Spec

AT_S = 1_764_000_000
AT = datetime.datetime.fromtimestamp(AT_S, datetime.UTC)
UUID = uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
FIXED_UUID = {"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}
TIME_OF_DAY = {"type": "long", "logicalType": "time-micros"}
ITEM = {"type": "record", "name": "Item", "fields": [{"name": "sku", "type": "long"}]}


def spec_of(**fields: Any) -> LoadedSpec:
    """Return a spec of events with an id, a user, a time in seconds whose unit the spec states, and these fields."""
    declared = {
        "name": "orders",
        "events": {"schema": "order.avsc", "user": "who", "id": "eid", "time": "at", "time_unit": "s"},
        "allowed_lateness": "1d",
        "max_clock_skew": "5m",
        "retention": "3650d",
        "features": {"n": {"aggregate": "count", "windows": "lifetime"}},
    }
    listed = {"eid": "string", "who": "string", "at": "long", **fields}
    schema = {"type": "record", "name": "Order", "fields": [{"name": n, "type": t} for n, t in listed.items()]}
    return LoadedSpec(Spec.model_validate(declared), parse_event_schema(schema), None)


def read(path: Path, spec: LoadedSpec) -> tuple[list[dict[str, Any]], list[str]]:
    """Return (events, what is wrong with the rows that are none)."""
    decoder = EventDecoder(compile_plan(spec), spec.schema)
    file = RowFile(str(path), spec)
    events, refused = [], []
    for segment in file.segments(0, 1000, 1 << 20):
        for at, message in enumerate(each_message(segment.messages)):
            if at in segment.refused:
                refused.append(segment.refused[at].detail)
            else:
                events.append(decoder.decode(message.data))
    file.close()
    return events, refused


def test_a_table_of_pandas(tmp_path: Path) -> None:
    metadata = {"pandas": json.dumps({"index_columns": ["__index_level_0__"], "columns": []})}
    table = pa.table(
        {
            "eid": pa.array([1, 2], pa.int64()),
            "who": pa.array([236238.0, 17.0]),
            "at": pa.array([AT_S * 10**9, AT_S * 10**9 + 1], pa.timestamp("ns")),
            "kind": pa.array(["a", "b"]).dictionary_encode(),
            "stars": pa.array([4.0, None]),
            "__index_level_0__": pa.array([10, 20]),
        }
    ).replace_schema_metadata(metadata)
    pq.write_table(table, tmp_path / "p.parquet")
    enum = {"type": "enum", "name": "Kind", "symbols": ["a", "b"]}
    events, refused = read(tmp_path / "p.parquet", spec_of(kind=enum, stars=["null", "int"]))
    assert refused == []
    assert [tuple(event.values()) for event in events] == [
        ("1", "236238", AT_S, "a", 4),
        ("2", "17", AT_S, "b", None),
    ]


def test_a_table_of_duckdb(tmp_path: Path) -> None:
    table = pa.table(
        {
            "eid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID.bytes], pa.binary(16))),
            "who": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID.bytes], pa.binary(16))),
            "at": pa.array([AT], pa.timestamp("us", tz="UTC")),
            "session": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([UUID.bytes], pa.binary(16))),
            "sum": pa.array([12345678901234.0]),
            "total": pa.array([Decimal(12345678901234)], pa.decimal128(38, 0)),
            "price": pa.array([Decimal("1.25")], pa.decimal128(18, 3)),
            "day": pa.array([AT.date()]),
            "clock": pa.array([AT.time()], pa.time64("us")),
            "device": pa.array([{"os": "ios"}]),
            "counts": pa.array([[("a", 1), ("b", 2)]], pa.map_(pa.string(), pa.int64())),
            "items": pa.array([[{"sku": 7}]]),
        }
    )
    pq.write_table(table, tmp_path / "d.parquet")
    spec = spec_of(
        session=FIXED_UUID,
        sum="long",
        total="long",
        price="double",
        day={"type": "int", "logicalType": "date"},
        clock=TIME_OF_DAY,
        device={"type": "record", "name": "Device", "fields": [{"name": "os", "type": "string"}]},
        counts={"type": "map", "values": "long"},
        items={"type": "array", "items": ITEM},
    )
    events, refused = read(tmp_path / "d.parquet", spec)
    assert refused == []
    seconds_of_day = AT_S % 86_400
    assert events == [
        {
            "eid": str(UUID),
            "who": str(UUID),
            "at": AT_S,
            "session": UUID.bytes,
            "sum": 12345678901234,
            "total": 12345678901234,
            "price": 1.25,
            "day": AT_S // 86_400,
            "clock": seconds_of_day * 10**6,
            "device": {"os": "ios"},
            "counts": {"a": 1, "b": 2},
            "items": [{"sku": 7}],
        }
    ]


def test_a_table_of_polars(tmp_path: Path) -> None:
    table = pa.table(
        {
            "eid": pa.array(["x", "y"], pa.large_string()),
            "who": pa.array(["u", "v"], pa.large_string()).dictionary_encode(),
            "at": pa.array([AT.replace(tzinfo=None)] * 2, pa.timestamp("us")),
            "count": pa.array([2**63 - 1, 2**63], pa.uint64()),
            "tags": pa.array([["a"], []], pa.large_list(pa.large_string())),
        }
    )
    pq.write_table(table, tmp_path / "p.parquet")
    events, refused = read(tmp_path / "p.parquet", spec_of(count="long", tags={"type": "array", "items": "string"}))
    assert [tuple(event.values()) for event in events] == [("x", "u", AT_S, 2**63 - 1, ["a"])]
    assert refused == ["row 2: column count: expected a whole number of 64 bits, got 9223372036854775808"]


def test_a_table_of_spark(tmp_path: Path) -> None:
    table = pa.table(
        {
            "eid": pa.array([b"x", b"y"]),
            "who": pa.array([b"u", b"v"]),
            "at": pa.array([AT.replace(tzinfo=None)] * 2, pa.timestamp("us")),
            "tags": pa.array([["a", None], None]),
        }
    )
    pq.write_table(table, tmp_path / "s.parquet", use_deprecated_int96_timestamps=True)
    tags = ["null", {"type": "array", "items": ["null", "string"]}]
    events, refused = read(tmp_path / "s.parquet", spec_of(tags=tags))
    assert refused == []
    assert [tuple(event.values()) for event in events] == [("x", "u", AT_S, ["a", None]), ("y", "v", AT_S, None)]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (pa.array([AT_S], pa.timestamp("s")), AT_S),
        (pa.array([AT_S * 1000 + 999], pa.timestamp("ms", tz="UTC")), AT_S),
        (pa.array([AT_S]), AT_S),
        (pa.array([AT.date()]), AT_S // 86_400 * 86_400),
        (pa.array([AT.isoformat()]), AT_S),
    ],
)
def test_a_time_of_a_stated_unit_takes_what_a_timestamp_takes(tmp_path: Path, at: pa.Array, expected: int) -> None:
    """A column of timestamps was no whole number, so every row was refused."""
    pq.write_table(pa.table({"eid": ["a"], "who": ["u"], "at": at}), tmp_path / "t.parquet")
    events, refused = read(tmp_path / "t.parquet", spec_of())
    assert (refused, [event["at"] for event in events]) == ([], [expected])


def test_a_uuid_as_text_goes_to_sixteen_bytes(tmp_path: Path) -> None:
    """It was refused: expected 16 bytes, got 36."""
    texts = [str(UUID), str(UUID).upper(), UUID.hex, UUID.bytes.hex()[:-1] + "x", "0123456789abcdef"]
    table = {"eid": list("abcde"), "who": ["u"] * 5, "at": [AT_S] * 5, "session": texts}
    pq.write_table(pa.table(table), tmp_path / "u.parquet")
    events, refused = read(tmp_path / "u.parquet", spec_of(session=FIXED_UUID))
    assert [event["session"] for event in events] == [UUID.bytes] * 3 + [b"0123456789abcdef"]
    (detail,) = refused
    assert detail.startswith("row 4: column session: expected a UUID, got ")


def test_a_number_beyond_single_precision_is_refused_and_not_infinite(tmp_path: Path) -> None:
    """1e300 became infinity in a field of type float, silently where no feature used it."""
    largest = 3.4028234663852886e38
    values = [largest, -largest, 0.1, 1e300, -1e39]
    table = {"eid": list("abcde"), "who": ["u"] * 5, "at": [AT_S] * 5, "price": values}
    pq.write_table(pa.table(table), tmp_path / "f.parquet")
    events, refused = read(tmp_path / "f.parquet", spec_of(price="float"))
    assert [event["price"] for event in events] == [largest, -largest, pytest.approx(0.1, rel=1e-7)]
    assert refused == [
        "row 4: column price: expected a number of single precision, got 1e+300",
        "row 5: column price: expected a number of single precision, got -1e+39",
    ]


def test_a_time_of_day_as_time_text_or_number(tmp_path: Path) -> None:
    rows = [
        {"eid": "a", "who": "u", "at": AT_S, "clock": "01:02:03.5"},
        {"eid": "b", "who": "u", "at": AT_S, "clock": 5},
        {"eid": "c", "who": "u", "at": AT_S, "clock": "25:00"},
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    events, refused = read(tmp_path / "t.jsonl", spec_of(clock=TIME_OF_DAY))
    assert [event["clock"] for event in events] == [3_723_500_000, 5]
    assert len(refused) == 1
    events, _ = read(tmp_path / "t.jsonl", spec_of(clock={"type": "int", "logicalType": "time-millis"}))
    assert [event["clock"] for event in events] == [3_723_500, 5]
