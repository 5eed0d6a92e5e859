"""Delimited files become events."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import fastavro
import pytest

from user_state.errors import InputError
from user_state.events.convert import Columns, convert

INTER = """user_id:token\titem_id:token\trating:float\ttimestamp:float
196\t242\t3\t881250949
186\t302\t4\t891717742
22\t377\t5\t878887116
"""
ITEMS = """item_id:token\tmovie_title:token_seq\tclass:token_seq
242\tKolya "the boy\tComedy Drama
377\tHeavyweights\t
"""
RECBOLE = Columns(value="rating", like_at=4.0, category="class")


def converted(tmp_path: Path, text: str, columns: Columns, **options: Any) -> list[dict[str, Any]]:
    (tmp_path / "log.inter").write_text(text, "utf-8")
    count = convert(tmp_path / "log.inter", tmp_path / "out.avro", columns, **options)
    with (tmp_path / "out.avro").open("rb") as file:
        events: list[dict[str, Any]] = list(fastavro.reader(file))  # type: ignore[arg-type]
    assert len(events) == count
    return events


def test_movielens_as_recbole_packs_it_comes_out_in_order_of_time(tmp_path: Path) -> None:
    (tmp_path / "items").write_text(ITEMS)
    events = converted(tmp_path, INTER, RECBOLE, items=tmp_path / "items", id_prefix="ml")
    short = [(e["event_id"], e["user_id"], e["item_id"], e["action"], e["value"], e["category"]) for e in events]
    assert short == [
        ("ml-22-377-878887116", "22", "377", "like", 5.0, None),
        ("ml-196-242-881250949", "196", "242", "view", 3.0, "Comedy"),
        ("ml-186-302-891717742", "186", "302", "like", 4.0, None),
    ]
    assert events[0]["event_time"] == datetime.datetime(1997, 11, 7, 7, 18, 36, tzinfo=datetime.UTC)
    assert [e["published_at"] for e in events] == [None] * 3


def test_a_csv_with_its_own_columns_and_quotes(tmp_path: Path) -> None:
    text = '\ufeffwho,what,did,when,seconds,kind\nann,"a, b",view,1700000000123,,x|y\nbob,c,buy,1700000000000,2.5,\n'
    columns = Columns(
        user="who", item="what", time="when", time_unit="ms", value="seconds", action="did", category="kind"
    )
    bob, ann = converted(tmp_path, text, columns)
    assert (ann["item_id"], ann["action"], ann["value"], ann["category"]) == ("a, b", "view", None, "x")
    assert (bob["item_id"], bob["action"], bob["value"], bob["category"]) == ("c", "buy", 2.5, None)
    assert ann["event_time"].microsecond == 123_000
    assert ann["event_id"] == "log-ann-a, b-1700000000123"


def test_fractions_of_seconds_are_kept_to_the_microsecond(tmp_path: Path) -> None:
    (event,) = converted(tmp_path, "user_id;item_id;timestamp\nu;i;1700000000.123456\n", Columns())
    assert event["event_time"].microsecond == 123_456


def test_rows_that_would_share_an_id_get_different_ones_every_time_the_same(tmp_path: Path) -> None:
    text = "user_id,item_id,timestamp\n" + "u,i,1700000000\n" * 3 + "a-b,c,1700000000\na,b-c,1700000000\n"
    ids = [e["event_id"] for e in converted(tmp_path, text, Columns(), id_prefix="x")]
    assert ids == [
        "x-u-i-1700000000",
        "x-u-i-1700000000-2",
        "x-u-i-1700000000-3",
        "x-a-b-c-1700000000",
        "x-a-b-c-1700000000-2",
    ]


def test_without_anything_else_a_row_is_a_view(tmp_path: Path) -> None:
    (event,) = converted(tmp_path, "user_id,item_id,timestamp\r\n\r\nu,i,1700000000\r\n", Columns())
    assert (event["action"], event["value"], event["category"]) == ("view", None, None)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("u\ti\t3", r"log\.inter:3: expected 4 columns, got 3"),
        ("u\ti\tmany\t881250949", r"log\.inter:3: expected a number in column rating, got 'many'"),
        ("u\ti\tnan\t881250949", r"log\.inter:3: expected a number in column rating, got 'nan'"),
        ("u\ti\t3\tnoon", r"log\.inter:3: expected a number in column timestamp, got 'noon'"),
        ("u\ti\t3\tNaN", r"log\.inter:3: expected a number in column timestamp"),
        ("u\ti\t3\t1e30", r"log\.inter:3: expected a time between 1971 and 2100"),
        ("u\ti\t3\t881250949000", r"log\.inter:3: .* is the time unit right\?"),
        ("\ti\t3\t881250949", r"log\.inter:3: expected the user in column user_id, got nothing"),
        ("u\t\t3\t881250949", r"log\.inter:3: expected the item in column item_id, got nothing"),
    ],
)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    head, first, *_ = INTER.splitlines()
    with pytest.raises(InputError, match=message):
        converted(tmp_path, "\n".join([head, first, row, first]), Columns(value="rating"))
    assert not (tmp_path / "out.avro").exists()


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (Columns(user="uid"), "expected a column 'uid' in .*, which has user_id, item_id, rating, timestamp"),
        (Columns(value="stars"), "'stars'"),
        (Columns(action="did"), "'did'"),
        (Columns(category="genre"), "'genre'"),
        (Columns(time_unit="min"), "time unit of s, ms, us, got 'min'"),
        (Columns(like_at=4.0), "expected a value column"),
        (Columns(value="rating", like_at=4.0, action="rating"), "got both"),
        (Columns(delimiter="::"), "one character"),
    ],
)
def test_wrong_settings_say_what_is_there(tmp_path: Path, columns: Columns, message: str) -> None:
    with pytest.raises(InputError, match=message):
        converted(tmp_path, INTER, columns)


def test_files_that_cannot_be_read_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        convert(tmp_path / "none", tmp_path / "out.avro", Columns())
    with pytest.raises(InputError, match="first line"):
        converted(tmp_path, "", Columns())
    with pytest.raises(InputError, match="category column to look up"):
        converted(tmp_path, INTER, Columns(), items=tmp_path / "items")
    (tmp_path / "latin").write_bytes("user_id,item_id,timestamp\nJosé,i,1700000000\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        convert(tmp_path / "latin", tmp_path / "out.avro", Columns())


def test_a_header_alone_gives_a_file_without_events(tmp_path: Path) -> None:
    assert converted(tmp_path, INTER.splitlines()[0], Columns()) == []
