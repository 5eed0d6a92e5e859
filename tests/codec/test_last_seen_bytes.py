"""The bytes of values and days last seen, and of profiles: what they are, and what is refused."""

import struct

import numpy as np
import pytest

from tests.trying import T0, H, S, event, plan_of, record_of
from user_state.codec.last_seen import empty_last_seen, pack_last_seen, unpack_last_seen
from user_state.codec.profiles import pack_profiles, unpack_profiles
from user_state.codec.strings import unpack_strings
from user_state.core.last_seen import LastSeenRows, pack_keys
from user_state.errors import CodecError

PLAN = plan_of(
    timezone="Europe/Berlin",
    features={
        "items": {"aggregate": "distinct", "of": "amount", "windows": ["lifetime"]},
        "days": {"aggregate": "active_days", "windows": ["lifetime"]},
        "hours": {"aggregate": ["hour_of_day", "day_of_week"], "half_life": ["1h", "7d"]},
    },
)
NONE = unpack_strings([])
NEWEST = T0 // S
VALUES = struct.pack("<BHHI", 0, 2, 1, NEWEST)
ROWS = struct.pack("<HHH", 0, 10, 0xFFFF) + bytes([0, 1, 0]) + struct.pack("<qq", -5, 7)


def unpack(*blobs):
    return unpack_last_seen(blobs, PLAN.layout, NONE)


def test_rows_are_columns_as_described():
    rows = unpack(empty_last_seen(PLAN.layout), VALUES + ROWS)
    assert (rows.user.tolist(), rows.track.tolist()) == ([1, 1, 1], [0, 0, 1])
    assert rows.value.tolist() == [-5, 7, 0]
    assert (NEWEST - rows.second).tolist() == [0, 10 + (1 << 16), 0xFFFF]
    assert pack_last_seen(rows, PLAN.layout, [], 2) == [empty_last_seen(PLAN.layout), VALUES + ROWS]


@pytest.mark.parametrize("age_s", [0, 1, 0xFFFF, 1 << 16, (1 << 24) - 1, 1 << 24, T0 // S])
def test_any_age_is_stored(age_s):
    second = np.array([NEWEST, NEWEST - age_s])
    rows = LastSeenRows(pack_keys(np.zeros(2, np.int64), 0), np.array([3, 4]), second)
    packed = pack_last_seen(rows, PLAN.layout, [], 1)
    assert unpack(*packed).second.tolist() == second.tolist()
    assert len(packed[0]) == 9 + 2 * (11 if age_s < 1 << 24 else 12)


def test_as_many_rows_as_a_cap_allows_are_stored():
    count = 65_535
    rows = LastSeenRows(np.zeros(count, np.int64), np.arange(count), np.full(count, NEWEST))
    again = unpack(*pack_last_seen(rows, PLAN.layout, [], 1))
    assert again.value.tolist() == list(range(count))


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        VALUES,
        VALUES + ROWS[:-1],
        VALUES + ROWS + b"\0",
        b"\2" + VALUES[1:] + ROWS,
        b"\1" + VALUES[1:] + ROWS,
        VALUES + ROWS[:9] + ROWS[17:] + ROWS[9:17],
        VALUES + ROWS[:9] + ROWS[9:17] * 2,
        struct.pack("<BHHI", 0, 0, 1, 5) + struct.pack("<HB", 6, 0),
        struct.pack("<BHHI", 0, 0xFFFF, 0xFFFF, 5),
    ],
)
def test_what_is_not_written_is_refused(blob):
    with pytest.raises(CodecError, match="values last seen"):
        unpack(VALUES + ROWS, blob, VALUES + ROWS)


def test_rows_of_no_track_are_refused():
    assert len(unpack_last_seen([b""], plan_of().layout, NONE).key) == 0
    with pytest.raises(CodecError, match="no track"):
        unpack_last_seen([VALUES], plan_of().layout, NONE)


def test_a_profile_stores_the_hours_and_weekdays_that_hold_something():
    made = [event(T0 + 5 * H, user="u"), event(T0 - 2 * H, user="u"), event(T0, user="v")]
    records = record_of(PLAN, made)
    packed = pack_profiles(records.profiles, PLAN.layout, [], 2)
    # T0 is 01:00 on a Saturday in Berlin.
    hour, weekday = packed[0][:44], packed[0][44:]
    assert hour[:12] == struct.pack("<Bq", 1, T0 + 5 * H) + (1 << 6 | 1 << 23).to_bytes(3, "little")
    assert weekday[:10] == struct.pack("<Bq", 1, T0 + 5 * H) + (1 << 5 | 1 << 4).to_bytes(1, "little")
    first, second = struct.unpack("<2d", hour[12:28]), struct.unpack("<2d", hour[28:44])
    assert (first, second[0]) == ((1.0, 2.0**-7), 1.0)
    assert [len(blob) for blob in packed] == [44 + 42, 28 + 26]
    again = unpack_profiles(packed, PLAN.layout, NONE)
    for part, unpacked in zip(records.profiles, again, strict=True):
        np.testing.assert_array_equal(part.sums, unpacked.sums)
        np.testing.assert_array_equal(part.time_us, unpacked.time_us)


def profile(*numbers, mask=1, time_us=T0, mark=1):
    return struct.pack(f"<Bq3s{len(numbers)}d", mark, time_us, mask.to_bytes(3, "little"), *numbers) + b"\0"


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0",
        b"\0\0\0",
        b"\2\0",
        profile(1.0, 1.0, mark=2),
        profile(1.0, 1.0, time_us=0),
        profile(1.0, 1.0, time_us=-1),
        profile(1.0, 1.0, time_us=2**62),
        profile(0.0, 0.0),
        profile(-1.0, 1.0),
        profile(float("nan"), 1.0),
        profile(float("inf"), 1.0),
        profile(1e300, 1.0),
        profile(1.0),
        profile(1.0, 1.0, 1.0),
        profile(1.0, 1.0)[:12],
        profile(1.0, 1.0)[:-1] + b"\1" + struct.pack("<qB4d", T0, 0b1000_0001, 1, 1, 1, 1),
    ],
)
def test_what_is_no_profile_is_refused(blob):
    assert unpack_profiles([profile(1.0, 0.0)], PLAN.layout, NONE)[0].sums[0, :, 0].tolist() == [1.0, 0.0]
    with pytest.raises(CodecError, match="profiles"):
        unpack_profiles([profile(1.0, 1.0), blob], PLAN.layout, NONE)


def test_a_day_costs_three_bytes_whatever_was_done_on_it_and_a_value_eleven():
    made = [event(T0 - n * H, amount=n % 50) for n in range(24 * 30)]
    packed = pack_last_seen(record_of(PLAN, made).last_seen, PLAN.layout, [], 1)[0]
    assert len(packed) == 9 + 50 * 11 + 31 * 3
