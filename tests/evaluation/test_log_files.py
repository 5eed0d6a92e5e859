"""Files become logs, or one line that says where they do not."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from user_state.durations import SECOND_US
from user_state.errors import InputError
from user_state.evaluation.interactions import Interactions
from user_state.evaluation.log_files import YEAR_2000_US, Reading, read_interactions
from user_state.events.avro_files import interaction_schema, write_events, write_messages
from user_state.events.convert import Columns
from user_state.events.message import Message
from user_state.spec import LoadedSpec, parse_spec

INTER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n" + "\n".join(
    ("1\ta\t5\t881250949", "2\tb\t3\t881250940", "1\tc\t4\t881250949")
)
SPEC = """
name: feed
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 400d
embeddings: {taste: {kind: decayed_mean, of: item_id, dimensions: 8, half_life: 1h, weights: {like: 1.0}}}
"""

SHOP = """
name: shop
events: {schema: action.avsc, user: user, id: id, time: at}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 3650d
sequences: {recent: {fields: [item.sku, stars], last: 5}}
"""
ACTION: list[dict[str, Any]] = [
    {"name": "id", "type": "long"},
    {"name": "user", "type": "int"},
    {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {
        "name": "item",
        "type": ["null", {"type": "record", "name": "Item", "fields": [{"name": "sku", "type": "long"}]}],
        "default": None,
    },
    {"name": "stars", "type": ["null", "int"], "default": None},
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []},
]


def written(folder: Path, text: str, name: str = "log.txt") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def triples(log: Interactions) -> list[tuple[str, str, float]]:
    seconds = [(time_us - YEAR_2000_US) / SECOND_US for time_us in log.time_us.tolist()]
    return [
        (log.users[user], log.items[item], second)
        for user, item, second in zip(log.user.tolist(), log.item.tolist(), seconds, strict=True)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "1 8228 0\n2 8229 36\n\n1 8229 36.5\n",
        "1,8228,0\n2,8229,36.0,0,0.1,0.2\n1,8229,36.5\n",
        "user_id,item_id,timestamp,state_label,features\n1,8228,0\n2,8229,36,0,0.5\n1,8229,36.5\n",
    ],
)
def test_triples_with_blanks_commas_headings_and_more_columns(tmp_path: Path, text: str) -> None:
    log = read_interactions(written(tmp_path, text), Reading("triples"))
    assert triples(log) == [("1", "8228", 0), ("2", "8229", 36), ("1", "8229", 36.5)]


def test_the_kind_of_file_is_found_by_looking_into_it(tmp_path: Path) -> None:
    assert len(read_interactions(written(tmp_path, "1 8228 0\n"))) == 1
    assert len(read_interactions(written(tmp_path, INTER))) == 3
    assert len(read_interactions(avro(tmp_path))) == 3


def test_equal_times_keep_the_order_of_the_file(tmp_path: Path) -> None:
    log = read_interactions(written(tmp_path, "u b 5\nu a 5\nu c 1\nu b 5\n"))
    assert [item for _, item, _ in triples(log)] == ["c", "b", "a", "b"]


def test_a_table_in_order_of_time_and_items_left_out_stay_candidates(tmp_path: Path) -> None:
    log = read_interactions(written(tmp_path, INTER), Reading(columns=Columns(value="rating"), min_value=4))
    assert [(user, item) for user, item, _ in triples(log)] == [("1", "a"), ("1", "c")]
    assert log.items == ["a", "b", "c"]
    assert log.users == ["1"]
    assert log.left_out == (("below the least value", 1),)


def avro(folder: Path, **changed: Any) -> Path:
    path = folder / "events.avro"
    write_events(path, [event(n, **changed) for n in range(3)], interaction_schema())
    return path


def event(number: int, **changed: Any) -> dict[str, Any]:
    made = {
        "event_id": f"e{number}",
        "user_id": "u",
        "item_id": f"i{number}",
        "action": "like",
        "event_time": YEAR_2000_US - number * SECOND_US,
        "value": float(number),
        "category": None,
        "published_at": None,
    }
    return {**made, **changed}


def test_avro_events_with_and_without_a_spec(tmp_path: Path) -> None:
    plain = read_interactions(avro(tmp_path))
    assert triples(plain) == [("u", "i2", -2), ("u", "i1", -1), ("u", "i0", 0)]
    assert plain.rows is None
    with_spec = read_interactions(avro(tmp_path), Reading(spec=parse_spec(SPEC, beside=tmp_path)))
    assert with_spec.rows is not None
    assert [row[0:1] + row[4:] for row in with_spec.rows] == [("u", f"i{n}", "like") for n in (2, 1, 0)]
    assert triples(with_spec) == triples(plain)


def test_avro_values_below_the_least_and_events_without_an_item_are_counted(tmp_path: Path) -> None:
    log = read_interactions(avro(tmp_path), Reading(columns=Columns(value="value"), min_value=1.0))
    assert [item for _, item, _ in triples(log)] == ["i2", "i1"]
    assert dict(log.left_out) == {"below the least value": 1}
    path = tmp_path / "some.avro"
    write_events(
        path,
        [event(0), event(1, item_id=""), event(2, user_id=""), event(0), event(0, user_id="v")],
        interaction_schema(),
    )
    assert dict(read_interactions(path).left_out) == {"without an item": 1, "invalid": 1, "duplicate": 1}


def test_messages_with_corrupt_ones_among_them(tmp_path: Path) -> None:
    path = tmp_path / "messages.avro"
    whole = [Message(b"", {}, None, None, "", event(n)) for n in range(2)]
    write_messages(path, [whole[0], Message(b"\0broken", {}, None, None, ""), whole[1]], interaction_schema())
    log = read_interactions(path)
    assert len(log) == 2
    assert dict(log.left_out) == {"undecodable": 1}


def shop_spec(folder: Path) -> LoadedSpec:
    (folder / "action.avsc").write_text(json.dumps({"type": "record", "name": "Action", "fields": ACTION}))
    return parse_spec(SHOP, beside=folder)


@pytest.mark.parametrize("kind", ["avro", "parquet", "jsonl"])
def test_events_of_any_kind_of_file_with_ids_that_are_numbers_and_an_item_at_a_path(tmp_path: Path, kind: str) -> None:
    """A Parquet file was read as text, and an item that is a number was no item."""
    spec = shop_spec(tmp_path)
    rows = [
        {"id": 7, "user": 2, "at": 1_764_000_000_000, "item": {"sku": 30}, "stars": None},
        {"id": 8, "user": 1, "at": 1_763_000_000_000, "item": {"sku": 20}, "stars": 4},
        {"id": 9, "user": 1, "at": 1_763_000_000_001, "item": None, "stars": 5},
        {"id": 8, "user": 1, "at": 1_763_000_000_000, "item": {"sku": 20}, "stars": 4},
    ]
    for number, part in enumerate((rows[:2], rows[2:])):
        path = tmp_path / f"day-{number}.{kind}"
        if kind == "avro":
            write_events(path, part, spec.schema.original)
        elif kind == "parquet":
            pq.write_table(pa.Table.from_pylist(part), path)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in part))
    how = Reading(columns=Columns(item="item.sku", value="stars"), spec=spec)
    log = read_interactions(tmp_path / f"day-*.{kind}", how)
    found = [
        (log.users[user], log.items[item]) for user, item in zip(log.user.tolist(), log.item.tolist(), strict=True)
    ]
    assert found == [("1", "20"), ("2", "30")]
    assert log.time_us.tolist() == [1_763_000_000_000_000, 1_764_000_000_000_000]
    assert dict(log.left_out) == {"without an item": 1, "duplicate": 1}
    assert [row[4:] for row in log.rows or ()] == [(20, 4), (30, None)]
    least = read_interactions(tmp_path / f"day-*.{kind}", replace(how, min_value=4))
    assert (least.users, least.items) == (["1"], ["20", "30"])


def test_a_list_is_no_item_and_a_text_no_value(tmp_path: Path) -> None:
    spec = shop_spec(tmp_path)
    path = tmp_path / "day.avro"
    write_events(path, [{"id": 1, "user": 1, "at": 1_764_000_000_000}], spec.schema.original)
    with pytest.raises(InputError, match=r"expected the item in a field that can be an id, got 'tags', which is array"):
        read_interactions(path, Reading(columns=Columns(item="tags"), spec=spec))
    with pytest.raises(InputError, match=r"expected the value in a field of numbers, got 'tags', which is array"):
        read_interactions(path, Reading(columns=Columns(item="id", value="tags"), spec=spec))


def test_the_beginning_of_a_log_keeps_the_catalogue(tmp_path: Path) -> None:
    log = read_interactions(avro(tmp_path), Reading(spec=parse_spec(SPEC, beside=tmp_path))).first(1)
    assert (len(log), len(log.items), len(log.rows or ())) == (1, 3, 1)


@pytest.mark.parametrize(
    ("text", "reading", "message"),
    [
        ("1 2 0\n1 2\n", Reading(), r"log\.txt:2: expected `user item seconds`, got '1 2'"),
        ("1 2 0\n1 2 -5\n", Reading(), r"log\.txt:2: "),
        ("1 2 0\n1 2 nan\n", Reading(), r"log\.txt:2: "),
        ("", Reading("triples"), r"expected interactions in .*log\.txt, got none"),
        ("", Reading(), r"first line with column names"),
        (INTER, Reading(columns=Columns(value="stars")), r"expected a column 'stars'"),
        (INTER, Reading(min_value=4), r"expected a value column to go with a least value"),
        (INTER, Reading(columns=Columns(value="rating"), min_value=9), r"got none \(3 below the least value\)"),
        ("1 2 0\n", Reading(columns=Columns(value="rating"), min_value=1), r"read as triples"),
        (INTER, Reading("parquet"), r"format of auto, triples, table, events, got 'parquet'"),
        (INTER, Reading("avro"), r"expected an Avro file, got"),
    ],
)
def test_what_cannot_be_read_says_what_was_expected(tmp_path: Path, text: str, reading: Reading, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_interactions(written(tmp_path, text), reading)


def test_a_file_that_is_not_there_or_not_utf8_or_without_the_field_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read .*none"):
        read_interactions(tmp_path / "none")
    (tmp_path / "latin").write_bytes("1 2 0\nJosé 2 3\n".encode("latin-1"))
    with pytest.raises(InputError, match="UTF-8"):
        read_interactions(tmp_path / "latin")
    with pytest.raises(InputError, match=r"expected the item in an event field of .*; got 'page'"):
        read_interactions(avro(tmp_path), Reading(columns=Columns(item="page")))
    with pytest.raises(InputError, match="expected a file of the spec's events"):
        read_interactions(written(tmp_path, "1 2 0\n"), Reading(spec=parse_spec(SPEC, beside=tmp_path)))
