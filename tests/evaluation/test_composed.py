"""Embeddings over a table, from records: equal to the same vectors in plain numpy, and never of the future."""

from __future__ import annotations

import numpy as np
import pytest

from tests.logs import random_log
from user_state.errors import InputError, SpecError
from user_state.evaluation.scorers.composed import Composed
from user_state.evaluation.scorers.table_mean import TableMean, fits_until
from user_state.evaluation.scoring import measure
from user_state.evaluation.trials import prequential

SETTINGS = {"dimensions": 4, "half_lives": "1m+1h", "every": 30}


@pytest.mark.parametrize("seed", range(2))
def test_records_and_a_table_score_as_the_mean_in_numpy_does_at_every_prefix(seed: int) -> None:
    log = random_log(seed, events=150)
    records, plain = Composed(log, last=1000, **SETTINGS), TableMean(log, **SETTINGS)
    for position in range(len(log)):
        asked = int(log.user[position]), int(log.time_us[position])
        np.testing.assert_allclose(records.scores(*asked), plain.scores(*asked), rtol=1e-4, atol=1e-5)
        records.learn(position, position + 1)
        plain.learn(position, position + 1)


@pytest.mark.parametrize("kind", ["decayed_mean", "fold_in", "interests"])
def test_asked_ahead_it_says_what_it_says_when_asked_one_by_one(kind: str) -> None:
    log = random_log(3, events=120)
    trial = prequential(log)
    foreseeing, plain = (Composed(log, kind=kind, **SETTINGS) for _ in range(2))

    class Plain:
        learn = plain.learn
        scores = plain.scores

    ranks = measure(kind, foreseeing, trial)
    np.testing.assert_array_equal(measure(kind, Plain(), trial), ranks)
    assert len(set(ranks.tolist())) > 3


def test_tables_are_fitted_when_the_log_has_grown_by_half_and_then_every_so_often() -> None:
    assert fits_until(20_000, 5_000)[-3:] == [8566, 12850, 17850]
    assert fits_until(100, 30) == [30, 46, 70, 100]
    assert fits_until(29, 30) == []


def test_settings_that_make_no_sense_are_refused() -> None:
    log = random_log(0)
    with pytest.raises(SpecError, match="last"):
        Composed(log, last=0, **SETTINGS)
    with pytest.raises(InputError, match="a table every 1 interaction at least, got 0"):
        Composed(log, every=0, dimensions=4)
