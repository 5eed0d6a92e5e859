"""Decayed counts from records say what the reference in numpy says, at every event and for every scorer."""

import numpy as np
import pytest

from user_state.errors import InputError
from user_state.evaluation.catalogue import Choice
from user_state.evaluation.interactions import in_order
from user_state.evaluation.scorers.recent_counts import ReferenceCounts, shares
from user_state.evaluation.scorers.record_counts import RecordCounts
from user_state.evaluation.scorers.settings import durations_us
from user_state.evaluation.scoring import measure
from user_state.evaluation.trials import tgb

BEGIN_US = 1_600_000_000_000_000


@pytest.fixture(scope="module")
def log():
    rng = np.random.default_rng(7)
    times = np.sort(rng.integers(0, 7200, 250)) * 1_000_000 + BEGIN_US
    triples = [(f"u{rng.integers(6)}", f"i{int(30 * rng.random() ** 2)}", int(time_us)) for time_us in times]
    return in_order("here", triples)


def test_at_every_event_the_shares_are_those_of_the_reference(log):
    half_lives = "10s+10m+1d"
    records, reference = (
        RecordCounts(log, half_lives.split("+")),
        ReferenceCounts(log, durations_us(half_lives)),
    )
    for position in range(len(log)):
        user, at_us = int(log.user[position]), int(log.time_us[position])
        (items, found), (expected_items, counts) = records.read(user, at_us), reference.read(user, at_us)
        order, expected_order = np.argsort(items), np.argsort(expected_items)
        np.testing.assert_array_equal(items[order], expected_items[expected_order])
        np.testing.assert_allclose(found[order], shares(counts)[expected_order], rtol=1e-9, atol=1e-15)
        records.learn(position, position + 1)
        reference.learn(position, position + 1)


@pytest.mark.parametrize("scorer", ["recent", "mixture"])
def test_scorers_rank_alike_from_records_and_from_the_reference(log, scorer):
    trial = tgb(log)
    ranks = [measure(text, Choice.parse(text).make(log), trial) for text in (scorer, f"{scorer}:records=true")]
    np.testing.assert_allclose(ranks[0], ranks[1])
    assert len(set(ranks[0].tolist())) > 3


def test_a_record_keeps_no_more_items_than_it_is_told(log):
    records = RecordCounts(log, ["1d"], keep=3)
    records.learn(0, len(log))
    sizes = [len(records.read(user, BEGIN_US)[0]) for user in range(6)]
    assert max(sizes) == 3


def test_no_items_at_all_cannot_be_kept(log):
    with pytest.raises(InputError, match="keep some items"):
        RecordCounts(log, ["1d"], keep=-1)
