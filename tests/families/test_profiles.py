"""Profiles by local hour and weekday: exact when late, merged or split; held against the defining formula."""

import datetime
import random
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from tests.packed import Records, apply, features, merge
from tests.trying import T0, D, H, M, S, batch, event, plan_of, record_of

PROFILE = {"aggregate": ["hour_of_day", "day_of_week"], "half_life": ["1h", "7d"]}
BERLIN = ZoneInfo("Europe/Berlin")


def plan_in(zone="UTC", **more):
    return plan_of(timezone=zone, features={"f": {**PROFILE, **more}})


def shares(plan, records, name="f_hour_of_day_7d", at_us=None, user=0):
    times_us = records.heads.clock_us if at_us is None else at_us
    return features(plan, records, times_us).arrays[name][user]


def by_formula(times_us, half_life_us, bin_of, bins, zone):
    """The definition in float64, ages counted from the newest event."""
    walls = [datetime.datetime.fromtimestamp(t // S, zone) for t in times_us]
    weights = 0.5 ** ((max(times_us) - np.array(times_us)) / half_life_us)
    return np.bincount([bin_of(wall) for wall in walls], weights, bins) / weights.sum()


def test_a_profile_over_nothing_is_zeros():
    plan = plan_in(where={"action": "like"})
    for records in (Records.empty(plan, 1), record_of(plan, [event(T0)])):
        found = features(plan, records, T0).arrays
        assert {name: values.shape for name, values in found.items()} == {
            "f_hour_of_day_1h": (1, 24),
            "f_hour_of_day_7d": (1, 24),
            "f_day_of_week_1h": (1, 7),
            "f_day_of_week_7d": (1, 7),
        }
        assert not any(values.any() for values in found.values())


@pytest.mark.parametrize(
    ("zone", "moment", "hour", "weekday"),
    [
        ("UTC", "2022-05-02T00:00:00Z", 0, 0),
        ("UTC", "2022-05-08T23:59:59.999999Z", 23, 6),
        ("Asia/Kolkata", "2022-05-08T18:29:59.999999Z", 23, 6),
        ("Asia/Kolkata", "2022-05-08T18:30:00Z", 0, 0),
        ("America/New_York", "2022-05-02T03:59:59Z", 23, 6),
        ("Europe/Berlin", "2022-03-27T00:59:59Z", 1, 6),
        ("Europe/Berlin", "2022-03-27T01:00:00Z", 3, 6),
        ("Europe/Berlin", "2022-10-30T00:30:00Z", 2, 6),
        ("Europe/Berlin", "2022-10-30T01:30:00Z", 2, 6),
        ("Australia/Lord_Howe", "2022-04-02T14:59:59Z", 1, 6),
        ("Australia/Lord_Howe", "2022-04-02T15:00:00Z", 1, 6),
        ("Pacific/Apia", "2011-12-30T09:59:59Z", 23, 3),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", 0, 5),
    ],
)
def test_one_event_is_all_in_the_hour_and_weekday_of_its_wall_clock(zone, moment, hour, weekday):
    plan = plan_in(zone)
    time_us = int(datetime.datetime.fromisoformat(moment).timestamp() * 1_000_000)
    records = record_of(plan, [event(time_us)])
    for at_us in (time_us, time_us + 3000 * D):
        assert shares(plan, records, "f_hour_of_day_1h", at_us).tolist() == np.eye(24)[hour].tolist()
        assert shares(plan, records, "f_day_of_week_7d", at_us).tolist() == np.eye(7)[weekday].tolist()


def test_an_event_a_half_life_older_weighs_half_whenever_it_is_read():
    plan = plan_in(half_life="1h")
    records = record_of(plan, [event(T0), event(T0 - H)])
    for at_us in (T0 - M, T0, T0 + 9999 * D):
        found = shares(plan, records, "f_hour_of_day_1h", at_us)
        assert (found[0], found[23], found.sum()) == (pytest.approx(2 / 3), pytest.approx(1 / 3), pytest.approx(1))


def test_decades_apart_the_newest_is_all_there_is():
    plan = plan_in()
    records = record_of(plan, [event(T0 - 9000 * D + 5 * H), event(T0)])
    assert shares(plan, records).tolist() == np.eye(24)[0].tolist()


def test_profiles_equal_the_formula_at_every_prefix_in_any_order_through_bytes():
    plan = plan_in("Europe/Berlin")
    rng = random.Random(7)
    times = [T0 + 70 * D + rng.randrange(40 * D) for _ in range(60)]
    records = Records.empty(plan, 1)
    for count, time_us in enumerate(times, 1):
        records = apply(plan, records, batch(plan, [event(time_us)]))
        for text, half_life_us in (("1h", H), ("7d", 7 * D)):
            for name, bin_of, bins in (
                ("hour_of_day", lambda wall: wall.hour, 24),
                ("day_of_week", lambda wall: wall.weekday(), 7),
            ):
                expected = by_formula(times[:count], half_life_us, bin_of, bins, BERLIN)
                found = shares(plan, records, f"f_{name}_{text}")
                np.testing.assert_allclose(found, expected, rtol=2**-23, atol=2**-149)
    halves = [record_of(plan, [event(t) for t in times[n::2]]) for n in range(2)]
    for merged in (merge(plan, *halves), merge(plan, *halves[::-1])):
        for output in plan.arrays:
            said = shares(plan, records, output.name)
            np.testing.assert_allclose(shares(plan, merged, output.name), said, rtol=1e-6, atol=2**-149)


def test_users_and_filters_do_not_mix():
    plan = plan_in(where={"action": "like"})
    made = [event(T0, user="u", action="like"), event(T0 + H, user="u"), event(T0 + 2 * H, user="v", action="like")]
    records = record_of(plan, made)
    assert [int(shares(plan, records, user=user).argmax()) for user in range(2)] == [0, 2]
    assert features(plan, records, T0 + 2 * H).arrays["f_hour_of_day_7d"].sum(axis=1).tolist() == [1.0, 1.0]
