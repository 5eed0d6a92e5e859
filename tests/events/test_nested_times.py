"""Times in records and maps whose unit the spec states, from tables: as ISO text, as timestamps and as numbers."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from user_state.errors import InputError
from user_state.events.convert_rows import convert_rows
from user_state.spec import LoadedSpec, load_spec

AT = datetime.datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=datetime.UTC)
MS = int(AT.timestamp() * 1000)
META = {
    "type": "record",
    "name": "Meta",
    "fields": [
        {"name": "user", "type": "string"},
        {"name": "ts", "type": "long"},
        {"name": "received", "type": ["null", "long"], "default": None},
        {"name": "count", "type": ["null", "long"], "default": None},
    ],
}
SCHEMA = {
    "type": "record",
    "name": "Event",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "meta", "type": ["null", META], "default": None},
        {"name": "times", "type": {"type": "map", "values": "long"}, "default": {}},
    ],
}
SPEC = """
name: nested
events: {schema: s.avsc, user: meta.user, id: id, time: %s, time_unit: ms, published: meta.received, published_unit: s}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 3650d
features: {n: {aggregate: count, windows: [30d]}}
"""


def spec_in(folder: Path, time: str = "meta.ts") -> LoadedSpec:
    (folder / "s.avsc").write_text(json.dumps(SCHEMA))
    (folder / "spec.yaml").write_text(SPEC % time)
    return load_spec(folder / "spec.yaml")


def parquet(kind: str, zone: str | None, *, flat: bool = False) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        at = AT if zone else AT.replace(tzinfo=None)
        types = {"user": pa.string(), "ts": pa.timestamp(kind, zone), "received": pa.timestamp(kind, zone)}
        values = {"user": "u", "ts": at, "received": at}
        if flat:
            columns = {f"meta.{name}": pa.array([values[name]], types[name]) for name in types}
        else:
            columns = {"meta": pa.array([values], pa.struct(list(types.items())))}
        pq.write_table(pa.table({"id": pa.array(["a"]), **columns}), folder / "rows.parquet")
        return folder / "rows.parquet"

    return write


def text(name: str, *lines: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_text("\n".join(lines) + "\n")
        return folder / name

    return write


ISO = AT.isoformat()
SAME_WITH_OFFSET = AT.astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=30))).isoformat()
ROWS = {
    "parquet us": parquet("us", "UTC"),
    "parquet ns, no zone": parquet("ns", None),
    "parquet ms, another zone": parquet("ms", "America/New_York"),
    "parquet, columns with dots": parquet("us", "UTC", flat=True),
    "csv of json": text("a.csv", "id;meta", f'a;{{"user": "u", "ts": "{ISO}", "received": {MS // 1000}}}'),
    "csv with dots": text("b.csv", "id,meta.user,meta.ts,meta.received", f"a,u,{SAME_WITH_OFFSET},{ISO}"),
    "csv of milliseconds": text("c.csv", "id,meta.user,meta.ts,meta.received", f"a,u,{MS},{MS // 1000}"),
    "jsonl": text("d.jsonl", json.dumps({"id": "a", "meta": {"user": "u", "ts": ISO, "received": ISO}})),
    "jsonl with dots": text("e.jsonl", json.dumps({"id": "a", "meta.user": "u", "meta.ts": MS, "meta.received": ISO})),
}


def converted(path: Path, spec: LoadedSpec) -> list[dict[str, Any]]:
    convert_rows([str(path)], spec, path.parent / "out.avro", path.parent / "bad.jsonl")
    with (path.parent / "out.avro").open("rb") as file:
        return list(fastavro.reader(file))  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", ROWS)
def test_a_time_in_a_record_is_read_in_the_unit_that_the_spec_states(tmp_path: Path, shape: str) -> None:
    [event] = converted(ROWS[shape](tmp_path), spec_in(tmp_path))
    assert (event["meta"]["ts"], event["meta"]["received"]) == (MS, MS // 1000)


def test_a_time_in_a_map_is_read_and_other_keys_stay_numbers(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    times = {"happened.at": ISO, "tries": 3}
    path.write_text(json.dumps({"id": "a", "meta": {"user": "u", "ts": 1, "count": 5}, "times": times}) + "\n")
    [event] = converted(path, spec_in(tmp_path, "times.happened.at"))
    assert event["times"] == {"happened.at": MS, "tries": 3}
    assert (event["meta"]["ts"], event["meta"]["count"]) == (1, 5)


def test_a_text_in_a_number_that_is_no_time_stays_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"id": "a", "meta": {"user": "u", "ts": ISO, "count": ISO}}) + "\n")
    with pytest.raises(InputError, match="column meta: column count: expected a whole number"):
        converted(path, spec_in(tmp_path))


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_text_in_utf_16_is_named_with_the_way_out(tmp_path: Path, name: str) -> None:
    """PowerShell's redirection and Excel's "Unicode text" write UTF-16; columns looked like noise."""
    path = tmp_path / name
    path.write_text("id,meta\n" if name.endswith("csv") else '{"id": "a"}\n', encoding="utf-16")
    with pytest.raises(InputError, match="got UTF-16: iconv -f UTF-16 -t UTF-8"):
        converted(path, spec_in(tmp_path))
