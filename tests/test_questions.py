"""What a caller of the client may give for users and times: taken as documented, or refused by name."""

from __future__ import annotations

import datetime
import time
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from user_state.errors import InputError
from user_state.id_text import of_bytes
from user_state.questions import items_of, microseconds, user_of, users_of

NOW_S = 1_764_007_200
ZONE = datetime.timezone(datetime.timedelta(hours=5, minutes=45))
ODD_ID = UUID("0F8FAD5B-D9CB-469F-A165-70867728950E")


class OfPandas(datetime.datetime):
    """As pandas' NaT: a datetime that equals nothing, itself included."""

    def __ne__(self, other: object) -> bool:
        return True


@pytest.mark.parametrize(
    ("users", "texts"),
    [
        (["7", "é"], ("7", "é")),
        (("7",), ("7",)),
        ((str(number) for number in (7, 8)), ("7", "8")),
        (map(str, [7]), ("7",)),
        ({"7": 1}, ("7",)),
        ([236238, "8"], ("236238", "8")),
        (np.array([7, -8]), ("7", "-8")),
        (np.array(["7", "8"]), ("7", "8")),
        ([ODD_ID], ("0f8fad5b-d9cb-469f-a165-70867728950e",)),
        ([], ()),
        (range(2), ("0", "1")),
    ],
)
def test_users_of_any_type_that_ids_have_are_their_texts(users: Any, texts: tuple[str, ...]) -> None:
    """An id given as a number and as its text named two entities (loixlab/gstore-node#179, feast-dev/feast#4110)."""
    found = users_of(users)
    assert found == texts
    assert {*map(type, found)} <= {str}


@pytest.mark.parametrize(
    ("users", "message"),
    [
        ("u1", r"got the string 'u1'; use get\(\) for one user"),
        (b"u1", r"got the bytes b'u1'; use get\(\) for one user"),
        (7, "expected a sequence of user ids, got 7"),
        (None, "expected a sequence of user ids, got None"),
        ([None], "whole number, bytes or a UUID, got None"),
        ([["7"]], r"got \['7'\]"),
        (np.array([[7]]), r"got array\(\[7\]\)"),
        (np.array(7), "a sequence of user ids"),
        ([7.0], "got 7.0"),
        ([float("nan")], "got nan"),
        ([True], "got True"),
        ([b"7"], "as texts, got the bytes b'7'; decode them"),
        ([bytearray(b"7")], "as texts, got the bytes b'7'"),
    ],
)
def test_what_is_no_user_is_refused_by_name(users: Any, message: str) -> None:
    """Arguments of a wrong type came through, or failed far from where they were given (boto/boto#3659)."""
    with pytest.raises(InputError, match=message):
        users_of(users)


def test_bytes_are_ids_where_the_events_have_bytes() -> None:
    assert users_of([b"\x00\xff", "00fe"], of_bytes=bytes.hex) == ("00ff", "00fe")
    assert user_of(b"\x01", of_bytes=bytes.hex) == "01"
    assert user_of(b"\x0f" * 16, of_bytes=of_bytes("fixed (uuid)")) == "0f0f0f0f-0f0f-0f0f-0f0f-0f0f0f0f0f0f"
    with pytest.raises(InputError, match="a UUID of 16 bytes, got 3"):
        user_of(b"\x0f" * 3, of_bytes=of_bytes("fixed (uuid)"))


def test_one_user_and_items_are_taken_alike() -> None:
    assert (user_of(7), items_of([7, "b"])) == ("7", ("7", "b"))
    for wrong in (["7"], None):
        with pytest.raises(InputError, match="expected an id"):
            user_of(wrong)
    for wrong in ("i1", 7, [b"i"]):
        with pytest.raises(InputError, match="item"):
            items_of(wrong)


@given(st.integers(31_536_000, 4_102_444_799), st.integers(0, 999_999))
def test_a_time_that_an_event_may_have_is_taken_in_microseconds_and_refused_in_any_other_unit(
    second: int, rest_us: int
) -> None:
    exact_us = second * 1_000_000 + rest_us
    assert microseconds(exact_us) == microseconds(np.int64(exact_us)) == exact_us
    aware = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(microseconds=exact_us)
    assert microseconds(aware) == microseconds(aware.astimezone(ZONE)) == exact_us
    for number, unit in (
        (second, r"seconds\? times 1,000,000"),
        (exact_us // 1000, r"milliseconds\? times 1,000"),
        (exact_us * 1000, r"nanoseconds\? divided by 1,000"),
    ):
        for form in (int, np.int64):
            with pytest.raises(InputError, match=rf"in microseconds since 1970, got {number}: {unit}"):
                microseconds(form(number))


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (float(NOW_S), r"got 1764007200.0: seconds\? times 1,000,000, as int\(\)"),
        (np.float64(NOW_S * 1000), r"milliseconds\? times 1,000, as int\(\)"),
        (float(NOW_S * 10**6), "as whole microseconds"),
        (float("nan"), "got nan"),
        (float("inf"), "got inf"),
        (True, "got True"),
        (0, "a time before 1971, or after 2969"),
        (-1, "a time before 1971"),
        (2**70, "after 2969"),
        ("2025-11-24T18:00:00Z", r"got '2025-11-24T18:00:00Z': datetime.fromisoformat\(\)"),
        (datetime.date(2025, 11, 24), "a whole day: say which moment of it"),
        (np.datetime64(NOW_S, "s"), r"without a time zone: if it is in UTC, at.astype\('datetime64\[us\]'\)"),
        (np.datetime64("NaT"), "without a time zone"),
        (datetime.datetime(2025, 11, 24), "with a time zone, got 2025-11-24T00:00:00"),
        (datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC), "from 1971 on"),
        (OfPandas(2025, 11, 24, tzinfo=datetime.UTC), "expected a time, got"),
        (Decimal(NOW_S), "got Decimal"),
        ([NOW_S], "whole microseconds"),
    ],
)
def test_what_is_no_reading_time_is_refused_with_what_it_probably_is(at: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        microseconds(at)


def test_what_is_said_of_datetime64_gives_its_time() -> None:
    at = np.datetime64(NOW_S, "s")
    assert microseconds(at.astype("datetime64[us]").astype(int)) == NOW_S * 10**6


def test_no_time_is_now() -> None:
    before_us = time.time_ns() // 1000
    assert before_us <= microseconds(None) <= time.time_ns() // 1000
