"""Parquet, CSV and JSON lines as events: what a column may hold, and what becomes of a row that is none."""

from __future__ import annotations

import datetime
import gzip
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from user_state.errors import InputError
from user_state.events.avro_blocks import each_message
from user_state.events.avro_files import write_events
from user_state.events.decode import EventDecoder
from user_state.events.row_files import RowFile, arrivals_of
from user_state.oracle import replay
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.spec.event_schema import parse_event_schema
from user_state.spec.model import Spec

FIRST_S = 1_764_000_000
TEXT = ["null", "string"]
FIELDS: list[dict[str, Any]] = [
    {"name": "eid", "type": "string"},
    {"name": "who", "type": "string", "aliases": ["customer"]},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "stars", "type": ["null", "int"], "default": None},
    {"name": "price", "type": "double", "default": 0.0},
    {"name": "note", "type": TEXT, "default": None},
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
    {
        "name": "device",
        "type": ["null", {"type": "record", "name": "Device", "fields": [{"name": "os", "type": "string"}]}],
        "default": None,
    },
    {
        "name": "cost",
        "type": ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}],
        "default": None,
    },
]
DECLARED = {
    "name": "orders",
    "events": {"schema": "order.avsc", "user": "who", "id": "eid", "time": "at"},
    "allowed_lateness": "1d",
    "max_clock_skew": "5m",
    "retention": "3650d",
    "features": {"n": {"aggregate": "count", "windows": "lifetime"}},
}
SPEC = LoadedSpec(
    Spec.model_validate(DECLARED), parse_event_schema({"type": "record", "name": "Order", "fields": FIELDS}), None
)
ROW = {"eid": "e1", "who": "ann", "at": FIRST_S}


def read(
    path: Path, most: int = 1000, place: int = 0, **options: Any
) -> tuple[list[dict[str, Any]], list[tuple[str, str]]]:
    """Return (events as the schema has them, (reason, detail) of the rows that are none)."""
    decoder = EventDecoder(compile_plan(SPEC), SPEC.schema)
    file = RowFile(str(path), SPEC, **options)
    events, refused = [], []
    for segment in file.segments(place, most, 1 << 20):
        for at, message in enumerate(each_message(segment.messages)):
            if at in segment.refused:
                refused.append(tuple(segment.refused[at]))
            else:
                events.append(decoder.decode(message.data))
    file.close()
    return events, refused


def lines(tmp_path: Path, *rows: Any) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), "utf-8")
    return path


def csv(tmp_path: Path, text: str, name: str = "rows.csv") -> Path:
    (tmp_path / name).write_bytes(text.encode())
    return tmp_path / name


def parquet(tmp_path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet", **options)
    return tmp_path / "rows.parquet"


@pytest.mark.parametrize(
    ("at", "ms"),
    [
        (FIRST_S, FIRST_S * 1000),
        (FIRST_S * 1000 + 7, FIRST_S * 1000 + 7),
        (FIRST_S * 10**6 + 7999, FIRST_S * 1000 + 7),
        (FIRST_S * 10**9, FIRST_S * 1000),
        (FIRST_S + 0.5, FIRST_S * 1000 + 500),
        ("2025-11-24T16:00:00Z", FIRST_S * 1000),
        ("2025-11-24 17:00:00+01:00", FIRST_S * 1000),
        ("2025-11-24 16:00:00", FIRST_S * 1000),
        (str(FIRST_S), FIRST_S * 1000),
    ],
)
def test_a_time_is_the_same_in_whichever_unit(tmp_path: Path, at: Any, ms: int) -> None:
    events, refused = read(lines(tmp_path, {**ROW, "at": at}))
    assert ([event["at"] for event in events], refused) == ([ms], [])


def test_whole_numbers_of_any_length_stay_exact(tmp_path: Path) -> None:
    """jeroen/jsonlite#405: ids beyond 2^53 in JSON lines came out rounded."""
    number = 9_007_199_254_740_993
    events, _ = read(lines(tmp_path, {**ROW, "eid": number, "who": str(number)}))
    assert (events[0]["eid"], events[0]["who"]) == (str(number), str(number))


def test_an_id_is_the_same_from_a_column_with_nulls(tmp_path: Path) -> None:
    """transferwise/pipelinewise-target-snowflake#404: a column of integers with a null became one of floats."""
    table = {"eid": [1.0, 2.0], "customer": [236238.0, 17.0], "at": [FIRST_S, FIRST_S], "stars": [4.0, None]}
    events, refused = read(parquet(tmp_path, table))
    assert [(event["eid"], event["who"], event["stars"]) for event in events] == [("1", "236238", 4), ("2", "17", None)]
    assert refused == []


def test_a_float_that_is_no_whole_number_is_no_integer(tmp_path: Path) -> None:
    _, refused = read(lines(tmp_path, {**ROW, "stars": 4.5}, {**ROW, "stars": 2**31}, {**ROW, "stars": True}))
    assert [reason for reason, _ in refused] == ["invalid"] * 3
    assert refused[0][1] == "row 1: column stars: expected a whole number of 32 bits, got 4.5"


def test_an_empty_cell_is_null_where_null_may_be_and_words_for_nothing_stay_words(tmp_path: Path) -> None:
    """dolthub/dolt#115 and tobgu/qcache#13: empty cells as texts, and texts such as NA as nulls."""
    path = csv(tmp_path, f'eid,who,at,stars,note,price\na,NA,{FIRST_S},,"",\nb,nan,{FIRST_S},5,null,2\n')
    events, refused = read(path)
    assert [(event["who"], event["stars"], event["note"], event["price"]) for event in events] == [
        ("NA", None, None, 0.0),
        ("nan", 5, "null", 2.0),
    ]
    assert refused == []


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    """dotCMS/core#36508: what a spreadsheet saves as UTF-8 lost its first column."""
    for text in (f"\ufeffeid;who;at\r\n1;ann;{FIRST_S}\r\n", f"\ufeffeid\twho\tat\n1\tann\t{FIRST_S}\n"):
        events, refused = read(csv(tmp_path, text))
        assert ([event["eid"] for event in events], refused) == (["1"], [])
    events, refused = read(lines(tmp_path, "\ufeff" + json.dumps(ROW)))
    assert (len(events), refused) == (1, [])


@pytest.mark.parametrize("year", [1, 1600, 2262, 9999])
def test_old_timestamps_of_twelve_bytes_do_not_wrap_around(tmp_path: Path, year: int) -> None:
    """StarRocks/starrocks#22355 and duckdb/duckdb#25857: sentinel dates in INT96 columns overflow as nanoseconds."""
    moment = datetime.datetime(year, 12, 31, 1, 2, 3, 456000, tzinfo=datetime.UTC)
    table = {"eid": ["a"], "who": ["u"], "at": pa.array([moment.replace(tzinfo=None)], pa.timestamp("us"))}
    events, refused = read(parquet(tmp_path, table, use_deprecated_int96_timestamps=True))
    assert refused == []
    assert events[0]["at"] == (moment - datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)) // datetime.timedelta(
        milliseconds=1
    )


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_timestamps_of_parquet_in_every_unit(tmp_path: Path, unit: str) -> None:
    """NVIDIA/cudf#9393: the digits behind the microsecond must not disturb those before it."""
    digits = {"s": 0, "ms": 3, "us": 6, "ns": 9}[unit]
    at = pa.array([FIRST_S * 10**digits + (10**digits - 1)], pa.timestamp(unit, tz="UTC"))
    events, refused = read(parquet(tmp_path, {"eid": ["a"], "who": ["u"], "at": at}))
    assert refused == []
    assert events[0]["at"] == FIRST_S * 1000 + (999 if digits else 0)


def test_nested_columns_lists_and_decimals_of_parquet(tmp_path: Path) -> None:
    table = {
        "eid": ["a", "b"],
        "who": pa.array(["u", "v"]).dictionary_encode(),
        "at": [FIRST_S, FIRST_S],
        "tags": [["x", "y"], []],
        "device": [{"os": "ios"}, None],
        "cost": pa.array([Decimal("12.50"), Decimal("-0.01")], pa.decimal128(9, 2)),
        "unused": pa.array([b"\xff", None]),
    }
    events, refused = read(parquet(tmp_path, table))
    assert refused == []
    assert [(event["tags"], event["device"]) for event in events] == [(["x", "y"], {"os": "ios"}), ([], None)]
    assert [int.from_bytes(event["cost"], "big", signed=True) for event in events] == [1250, -1]


def test_nested_values_of_a_csv(tmp_path: Path) -> None:
    path = csv(tmp_path, f'eid,who,at,device.os,tags\n1,u,{FIRST_S},android,"[""a"",""b""]"\n2,u,{FIRST_S},,[]\n')
    events, refused = read(path)
    assert refused == []
    assert [(event["device"], event["tags"]) for event in events] == [({"os": "android"}, ["a", "b"]), (None, [])]


def test_a_bad_row_is_refused_alone_and_says_why(tmp_path: Path) -> None:
    rows = [
        ROW,
        '{"eid": "e2", "who"',
        [1],
        {**ROW, "at": "soon"},
        {"eid": "e5", "at": FIRST_S},
        "",
        {**ROW, "eid": "e6"},
    ]
    events, refused = read(lines(tmp_path, *rows, '{"eid": NaN}'))
    assert [event["eid"] for event in events] == ["e1", "e6"]
    assert [reason for reason, _ in refused] == ["undecodable", "undecodable", "invalid", "invalid", "undecodable"]
    assert refused[2][1] == "row 4: column at: expected a time, got 'soon'"
    assert refused[3][1] == "row 5: column who: expected string, got nothing"


def test_a_csv_row_of_other_columns_is_refused_alone(tmp_path: Path) -> None:
    path = csv(tmp_path, f'eid,who,at\n1,u,{FIRST_S}\n2,u\n3,"u,{FIRST_S}\n')
    events, refused = read(path)
    assert [event["eid"] for event in events] == ["1"]
    assert refused[0] == ("undecodable", "row 2: expected 3 columns, got 2")
    assert len(refused) == 2
    (tmp_path / "rows.csv").write_bytes(b"eid,who,at\n1,\xff\xfe,%d\n2,u,%d\n" % (FIRST_S, FIRST_S))
    events, refused = read(tmp_path / "rows.csv")
    assert [event["eid"] for event in events] == ["2"]
    assert refused == [("invalid", "row 1: column who: expected text in UTF-8, got other bytes")]


def test_a_missing_column_is_said_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected columns who, at in .*rows\.csv, which has 'eid, note'"):
        read(csv(tmp_path, "eid,note\n1,2\n"))
    with pytest.raises(InputError, match="expected columns who, at in"):
        read(parquet(tmp_path, {"eid": ["a"]}))
    with pytest.raises(InputError, match=r"expected a JSON object a line in .*, got an array: jq"):
        read(lines(tmp_path, [ROW, ROW]))
    with pytest.raises(InputError, match=r"expected different column names in .*, got eid twice"):
        read(csv(tmp_path, "eid,eid,who,at\n"))
    with pytest.raises(InputError, match="expected a Parquet file, got"):
        read(csv(tmp_path, "no parquet", "rows.parquet"))


def test_publish_times_come_from_the_column_that_is_named(tmp_path: Path) -> None:
    rows = [
        {**ROW, "publish_time": "2025-11-24T16:00:01Z", "sent": FIRST_S + 2},
        {**ROW, "publish_time": "never", "sent": None},
    ]
    path = lines(tmp_path, *rows)
    found = {}
    for column in (None, "sent"):
        file = RowFile(str(path), SPEC, publish_column=column)
        (segment,) = file.segments(0, 10, 1 << 20)
        found[column] = [message.publish_us for message in each_message(segment.messages)], dict(segment.refused)
        file.close()
    assert found["sent"] == ([(FIRST_S + 2) * 10**6, None], {})
    times, refused = found[None]
    assert times == [(FIRST_S + 1) * 10**6, None]
    assert refused[1].detail.startswith("row 2: column publish_time: expected a time from 1971 up to 2100")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "csv.gz", "parquet"])
def test_reading_goes_on_from_any_place(tmp_path: Path, kind: str) -> None:
    rows = [{"eid": f"e{n}", "who": f"u\n{n}", "at": FIRST_S + n} for n in range(100)]
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=17)
    elif kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        text = "eid,who,at\n" + "".join(f'{row["eid"]},"{row["who"]}",{row["at"]}\n' for row in rows)
        path.write_bytes(gzip.compress(text.encode()) if kind == "csv.gz" else text.encode())
    for place in (0, 1, 16, 17, 18, 99, 100):
        events, refused = read(path, most=7, place=place)
        assert [event["eid"] for event in events] == [f"e{n}" for n in range(place, 100)]
        assert refused == []


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_verify_sees_in_rows_what_it_sees_in_avro(tmp_path: Path, kind: str) -> None:
    """Brute force took rows as they stood: paths were null, times in milliseconds none, and nothing was compared."""
    rows = [
        {"eid": "a", "who": "u", "at": FIRST_S * 1000, "tags": ["x", "y"], "device": {"os": "ios"}},
        {"eid": "b", "who": "v", "at": FIRST_S * 1000 + 7, "tags": [], "device": None},
    ]
    features = {
        "tags": {"aggregate": "count_by", "by": "tags", "windows": "lifetime"},
        "systems": {"aggregate": "count_by", "by": "device.os", "windows": "lifetime"},
    }
    spec = replace(SPEC, spec=SPEC.spec.model_validate({**DECLARED, "features": features}))
    write_events(tmp_path / "rows.avro", rows, spec.schema.original)
    path = tmp_path / f"rows.{kind}"
    received = [{**row, "received": FIRST_S + 60 + at} for at, row in enumerate(rows)]
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(received), path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in received))
    else:
        path.write_text(
            "eid,who,at,tags,device.os,received\n"
            f'a,u,{FIRST_S * 1000},"[""x"",""y""]",ios,{FIRST_S + 60}\nb,v,{FIRST_S * 1000 + 7},[],,{FIRST_S + 61}\n'
        )
    expected = list(arrivals_of(str(tmp_path / "rows.avro"), spec, spec.schema.original))
    actual = list(arrivals_of(str(path), spec))
    assert actual == expected
    assert [(one.time_us("at"), one.event["tags"], one.event["device.os"]) for one in actual if one.event] == [
        (FIRST_S * 10**6, ["x", "y"], "ios"),
        (FIRST_S * 10**6 + 7000, None, None),
    ]
    assert replay(spec.spec, actual).counts == {"applied": 1, "duplicate": 0, "ignored": 1}
    stamped = arrivals_of(str(path), spec, publish_column="received")
    assert [one.published_us for one in stamped] == [(FIRST_S + 60) * 10**6, (FIRST_S + 61) * 10**6]
