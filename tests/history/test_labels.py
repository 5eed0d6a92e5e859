"""Labels are taken from any Arrow table whose columns say what they mean; others are refused, the likely unit named."""

from __future__ import annotations

import datetime
import decimal

import pyarrow as pa
import pytest

from tests.trying import T0, S
from user_state.errors import InputError
from user_state.history.labels import labels_of

UTC = pa.timestamp("us", tz="UTC")


def times(kind: pa.DataType, *numbers: int, unit: str | None = None) -> list[int]:
    table = pa.table({"user": ["u"] * len(numbers), "time": pa.array(numbers, kind)})
    return labels_of(table, "user", "time", unit).at_us.tolist()


def refused(table: pa.Table, unit: str | None = None) -> str:
    with pytest.raises(InputError) as caught:
        labels_of(table, "user", "time", unit)
    return str(caught.value)


@pytest.mark.parametrize(
    ("kind", "unit", "number"),
    [
        (pa.timestamp("s", "UTC"), None, T0 // S),
        (pa.timestamp("ms", "Europe/Berlin"), None, T0 // 1000),
        (pa.timestamp("us", "+05:30"), None, T0),
        (pa.timestamp("ns", "UTC"), None, T0 * 1000),
        (pa.int64(), "s", T0 // S),
        (pa.uint64(), "ms", T0 // 1000),
        (pa.int64(), "us", T0),
        (pa.int64(), "ns", T0 * 1000),
    ],
)
def test_every_unit_and_zone_is_the_same_moment(kind, unit, number):
    assert times(kind, number, unit=unit) == [T0]


def test_a_nanosecond_after_an_event_the_event_is_before_the_label():
    assert times(pa.timestamp("ns", "UTC"), T0 * 1000 + 1, T0 * 1000, T0 * 1000 - 999) == [T0 + 1, T0, T0]


@pytest.mark.parametrize(("unit", "scale"), [("s", S), ("ms", 1000), ("us", 1)])
def test_whole_numbers_without_a_unit_are_refused_and_the_likely_unit_is_named(unit, scale):
    table = pa.table({"user": ["u"], "time": [T0 // scale]})
    assert refused(table).endswith(f"'time': they are likely to be {unit}")


@pytest.mark.parametrize(("said", "scale", "likely"), [("s", 1000, "ms"), ("us", 1000, "ms"), ("ms", S, "s")])
def test_a_wrong_unit_is_refused_and_the_likely_unit_is_named(said, scale, likely):
    table = pa.table({"user": ["u"], "time": [T0 // scale]})
    assert refused(table, said).endswith(f"counted from 0: they are likely to be {likely}")


def test_types_that_name_no_moment_are_refused():
    users = pa.array(["u"])
    naive = pa.table({"user": users, "time": pa.array([T0], pa.timestamp("us"))})
    assert "time zone" in refused(naive)
    assert "tz='UTC'" in refused(naive)
    assert "a day is no moment" in refused(pa.table({"user": users, "time": [datetime.date(2026, 1, 1)]}))
    assert "got double" in refused(pa.table({"user": users, "time": [1.5]}))
    assert "have their own" in refused(pa.table({"user": users, "time": pa.array([T0], UTC)}), "ms")
    assert "got 'min'" in refused(pa.table({"user": users, "time": [T0]}), "min")


def test_what_is_missing_is_named():
    at = pa.array([T0, T0], UTC)
    assert "got no of x, time" in refused(pa.table({"x": ["u", "v"], "time": at}))
    assert "got 1 nulls; the first is in row 1" in refused(pa.table({"user": ["u", None], "time": at}))
    twice = pa.Table.from_arrays([pa.array(["u"]), pa.array(["v"]), at[:1]], names=["user", "user", "time"])
    assert "got 2 columns of user, user, time" in refused(twice)


@pytest.mark.parametrize(
    ("ids", "texts"),
    [
        (pa.array([236238, 7, 236238]), ("236238", "7")),
        (pa.array(["a", "", "a"]), ("a", "")),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ("a", "b")),
        (pa.array([b"\x00\xff", b"", b"\x00\xff"]), ("00ff", "")),
        (pa.array(["a", "b", "a"], pa.large_string()), ("a", "b")),
        (pa.chunked_array([["a"], [], ["b", "a"]]), ("a", "b")),
    ],
)
def test_ids_of_every_type_are_their_text(ids, texts):
    found = labels_of(pa.table({"user": ids, "time": pa.array([T0] * 3, UTC)}), "user", "time")
    assert (found.users, found.user.tolist()) == (texts, [0, 1, 0])


@pytest.mark.parametrize("ids", [[1.5], [True], [["a"]], [decimal.Decimal(1)]])
def test_what_is_no_id_is_refused(ids):
    assert "id" in refused(pa.table({"user": ids, "time": pa.array([T0], UTC)}))


def test_no_labels():
    none = pa.table({"user": pa.array([], pa.string()), "time": pa.array([], UTC)})
    assert len(labels_of(none, "user", "time")) == 0
