"""Files of rows become one Avro file of a spec's events; rows that are none are written down with the reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastavro
import pytest
from typer.testing import CliRunner

from user_state.cli.main import app
from user_state.errors import InputError
from user_state.events.convert_rows import Converted, convert_rows
from user_state.spec import LoadedSpec, load_spec

FIRST_S = 1_764_000_000
FIELDS = [
    {"name": "eid", "type": "string"},
    {"name": "who", "type": "string"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    {"name": "stars", "type": ["null", "double"], "default": None},
]
SPEC = """name: stays
events: {schema: stay.avsc, user: who, id: eid, time: at}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 3650d
features: {n: {aggregate: [count, mean], of: stars, windows: 1d}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> LoadedSpec:
    (tmp_path / "stay.avsc").write_text(json.dumps({"type": "record", "name": "Stay", "fields": FIELDS}))
    (tmp_path / "stay.yaml").write_text(SPEC)
    return load_spec(tmp_path / "stay.yaml")


def write(path: Path, *rows: Any) -> str:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return str(path)


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"eid": f"e{number}", "who": "u", "at": FIRST_S + number, **more}


def converted(
    tmp_path: Path, spec: LoadedSpec, *paths: str
) -> tuple[Converted, list[dict[str, Any]], list[dict[str, Any]]]:
    """Return (what became of the rows, the records written, the bad rows)."""
    out, bad = tmp_path / "out.avro", tmp_path / "bad.jsonl"
    done = convert_rows(paths, spec, out, bad)
    with out.open("rb") as file:
        records: list[dict[str, Any]] = list(fastavro.reader(file))  # type: ignore[arg-type]
    return done, records, [json.loads(line) for line in bad.read_text().splitlines()] if bad.exists() else []


def test_rows_of_several_files_come_out_in_order_of_time(tmp_path: Path, spec: LoadedSpec) -> None:
    late = write(tmp_path / "a.jsonl", row(30), row(10), row(20))
    early = write(tmp_path / "b.jsonl", row(15, extra=1), row(5))
    done, records, bad = converted(tmp_path, spec, late, early)
    assert [record["eid"] for record in records] == ["e5", "e10", "e15", "e20", "e30"]
    assert (done.events, done.bad, bad) == (5, 0, [])


def test_what_the_pipeline_would_refuse_is_written_down(tmp_path: Path, spec: LoadedSpec) -> None:
    path = write(
        tmp_path / "a.jsonl",
        row(1),
        '{"eid"',
        row(3, who=""),
        row(4, stars="many"),
        row(5, stars="few"),
        row(6, at="1960-01-01T00:00:00Z"),
        row(7, who="x" * 2000),
        row(8),
    )
    done, records, bad = converted(tmp_path, spec, path)
    assert [record["eid"] for record in records] == ["e1", "e8"]
    assert (done.events, done.bad) == (2, 6)
    assert [(one["row"], one["reason"]) for one in bad] == [
        (2, "undecodable"),
        *((number, "invalid") for number in (3, 4, 5, 6, 7)),
    ]
    assert {one["file"] for one in bad} == {path}
    assert bad[2]["detail"] == "column stars: expected a finite number, got 'many'"
    assert json.loads(bad[2]["data"]) == row(4, stars="many")


def test_rows_with_publish_times_become_messages(tmp_path: Path, spec: LoadedSpec) -> None:
    path = write(tmp_path / "a.jsonl", row(1, publish_time=FIRST_S + 90), row(2, publish_time=(FIRST_S + 60) * 1000))
    done, records, _ = converted(tmp_path, spec, path)
    assert [record["publish_time"].timestamp() for record in records] == [FIRST_S + 60, FIRST_S + 90]
    assert done.events == 2


def test_a_file_without_an_event_is_an_error_that_says_why(tmp_path: Path, spec: LoadedSpec) -> None:
    path = write(tmp_path / "a.jsonl", row(1, at="never"), row(2, at="never"), "{")
    with pytest.raises(
        InputError, match=r"no row of .*a\.jsonl is an event: 3 are not; column at: expected a time, got 'never'"
    ):
        convert_rows([path], spec, tmp_path / "out.avro", tmp_path / "bad.jsonl")


def test_the_command_says_what_it_did(tmp_path: Path, spec: LoadedSpec) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"eid,who,at,colour\n1,u,{FIRST_S},red\n2,u,soon,blue\n")
    arguments = [
        "convert",
        str(tmp_path / "*.csv"),
        "--spec",
        str(tmp_path / "stay.yaml"),
        "--out",
        str(tmp_path / "o.avro"),
    ]
    ended = CliRunner().invoke(app(), arguments)
    assert ended.exit_code == 0, ended.output
    assert "wrote 1 events to" in ended.output
    assert "columns that the schema has no field for: colour" in ended.output
    assert "o.avro.bad.jsonl; most often: column at: expected a time, got 'soon'" in ended.output.replace("\n", "")
    assert json.loads((tmp_path / "o.avro.bad.jsonl").read_text())["data"] == "2,u,soon,blue"


def test_a_pattern_that_matches_nothing_is_an_error(tmp_path: Path, spec: LoadedSpec) -> None:
    """hauntsaninja/boostedblob#10: a pattern without a match was a success."""
    arguments = ["convert", str(tmp_path / "*.parquet"), "--spec", str(tmp_path / "stay.yaml"), "--out", "o.avro"]
    ended = CliRunner().invoke(app(), arguments)
    assert isinstance(ended.exception, InputError)
    assert "which matches no file" in str(ended.exception)


def test_a_row_that_is_refused_for_what_it_says_is_written_down_as_text(tmp_path: Path, spec: LoadedSpec) -> None:
    """A team looks a bad row up by what it says; it used to be an event's bytes with characters replaced."""
    _, _, bad = converted(tmp_path, spec, write(tmp_path / "a.jsonl", row(1), row(3, who="")))
    [refused] = bad
    assert refused["reason"] == "invalid"
    assert json.loads(refused["data"]).items() >= {"eid": "e3", "who": ""}.items()
