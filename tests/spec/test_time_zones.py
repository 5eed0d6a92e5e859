"""The table of a zone's offsets is the zone's, to the second."""

import datetime
import random
from zoneinfo import ZoneInfo

import pytest

from user_state.spec.time_zones import utc_offsets

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Boa_Vista",
    "Africa/Casablanca",
    "Africa/Monrovia",
    "Asia/Gaza",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kwajalein",
)
"""Among them the two changes nearest to each other since 1970, of Boa Vista and Gaza, and seconds in an offset."""


def offset_s(zone, second):
    moment = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC) + datetime.timedelta(seconds=second)
    return moment.astimezone(ZoneInfo(zone)).utcoffset().total_seconds()


@pytest.mark.parametrize("zone", ZONES)
def test_each_change_is_found_to_the_second_and_there_are_no_others(zone):
    transitions, offsets = utc_offsets(zone)
    assert len(offsets) == len(transitions) + 1
    assert list(transitions) == sorted(set(transitions))
    for at_s, before_s, after_s in zip(transitions, offsets[:-1], offsets[1:], strict=True):
        assert before_s != after_s
        assert (offset_s(zone, at_s - 1), offset_s(zone, at_s)) == (before_s, after_s)
    rng = random.Random(0)
    for second in [0, *(rng.randrange(4_102_444_800) for _ in range(3_000))]:
        assert offsets[sum(t <= second for t in transitions)] == offset_s(zone, second)


def test_a_zone_without_changes_has_one_offset():
    assert utc_offsets("UTC") == ((), (0,))
    assert utc_offsets("Etc/GMT-5") == ((), (18_000,))


def test_years_yet_to_come_have_their_changes_too():
    transitions, _ = utc_offsets("Europe/Berlin")
    years = [datetime.datetime.fromtimestamp(t, datetime.UTC).year for t in transitions]
    assert years.count(2099) == 2
