"""Segments: what is played and asked is what happened, moved in time, with users of its own for each segment."""

from __future__ import annotations

import numpy as np
import pytest

from tests.logs import random_log
from user_state.durations import SECOND_US
from user_state.errors import InputError
from user_state.evaluation.interactions import Interactions
from user_state.evaluation.segments import Segments, cut
from user_state.evaluation.trials import Age, Trial, aged, tgb

STRETCH_US, LEAD_US = 40 * SECOND_US, 100 * SECOND_US


@pytest.fixture(params=range(4))
def trial(request: pytest.FixtureRequest) -> Trial:
    whole = tgb(random_log(request.param))
    return whole.only(whole.counted)


def events_of(segments: Segments, log: Interactions, user: str, before_us: int) -> list[tuple[int, int]]:
    """Return (item, position) of what a played user did strictly before a moved time."""
    found = []
    for part in ("warm", "played"):
        at, whose, times = (getattr(segments, part + end) for end in ("", "_user", "_us"))
        mine = [segments.users[u] == user for u in whose.tolist()]
        found += [(int(log.item[p]), int(p)) for p, t in zip(at[mine], times[mine], strict=True) if t < before_us]
    return sorted(found, key=lambda pair: pair[1])


@pytest.mark.parametrize("text", ["fresh", "0-10s", "25s", "1m"])
def test_a_user_of_a_segment_did_what_the_user_did(trial: Trial, text: str) -> None:
    age = Age("fresh", 0, 0) if text == "fresh" else Age.parse(text)
    log, segments = trial.log, cut(trial, STRETCH_US, LEAD_US)
    moments = segments.moments(trial, age).tolist()
    visible = aged(trial, age).visible.tolist()
    assert sorted(segments.asked.tolist()) == list(range(len(trial.tested)))
    for question, user, moment in zip(segments.asked.tolist(), segments.asked_user.tolist(), moments, strict=True):
        name = segments.users[user]
        user_code = int(log.user[trial.tested[question]])
        assert name.partition(".")[2] == log.users[user_code]
        expected = [(int(log.item[p]), p) for p in range(visible[question]) if log.user[p] == user_code]
        assert events_of(segments, log, name, moment) == expected


def test_differences_of_time_stay(trial: Trial) -> None:
    segments = cut(trial, STRETCH_US, LEAD_US)
    for part in ("warm", "played"):
        at, whose, times = (getattr(segments, part + end) for end in ("", "_user", "_us"))
        moved = times - trial.log.time_us[at]
        for user in np.unique(whose).tolist():
            assert len(np.unique(moved[whose == user])) == 1


def test_everything_is_played_within_a_segment_and_its_lead(trial: Trial) -> None:
    segments = cut(trial, STRETCH_US, LEAD_US)
    assert segments.end_us - segments.begin_us == STRETCH_US + LEAD_US
    assert (np.diff(segments.played_us) >= 0).all()
    assert segments.begin_us <= segments.played_us[0] <= segments.played_us[-1] < segments.end_us
    assert (segments.asked_us >= segments.begin_us + LEAD_US).all()
    assert (segments.warm_us < segments.begin_us).all()


def test_the_newest_event_before_a_moment(trial: Trial) -> None:
    log, segments = trial.log, cut(trial, STRETCH_US, LEAD_US)
    moments = segments.moments(trial, Age.parse("25s"))
    newest = segments.newest_before(moments).tolist()
    for question, moment, found in zip(range(len(moments)), moments.tolist(), newest, strict=True):
        name = segments.users[segments.asked_user[question]]
        seen = events_of(segments, log, name, moment)
        moved = int(segments.asked_us[question] - log.time_us[trial.tested[segments.asked[question]]])
        assert found == (int(log.time_us[seen[-1][1]]) + moved if seen else 0)
    assert any(newest)


def test_warm_rows_come_with_whole_users(trial: Trial) -> None:
    segments = cut(trial, STRETCH_US, LEAD_US)
    parts = list(segments.warm_users(10))
    assert [index for part in parts for index in range(part.start, part.stop)] == list(range(len(segments.warm)))
    users = [set(segments.warm_user[part].tolist()) for part in parts]
    assert len(users) > 1
    assert sum(map(len, users)) == len(set().union(*users))


def test_a_segment_of_no_length_is_refused(trial: Trial) -> None:
    with pytest.raises(InputError, match="longer than 0"):
        cut(trial, 0, LEAD_US)
