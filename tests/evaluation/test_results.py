"""From ranks to figures, curves and JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.logs import random_log
from user_state.evaluation.results import STRETCHES, Outcome, Quality, report
from user_state.evaluation.trials import Age, prequential, tgb


@given(st.lists(st.integers(2, 60).map(lambda twice: twice / 2), min_size=1, max_size=50))
def test_figures_are_means_over_the_ranks(ranks: list[float]) -> None:
    quality = Quality.of(np.array(ranks))
    assert quality.mrr == pytest.approx(sum(1 / rank for rank in ranks) / len(ranks))
    assert quality.recall == pytest.approx(sum(rank <= 10 for rank in ranks) / len(ranks))


@pytest.mark.parametrize(("rank", "recall"), [(10.0, 1.0), (10.5, 0.0), (11.0, 0.0)])
def test_recall_goes_by_the_mean_rank_and_10_is_in(rank: float, recall: float) -> None:
    assert Quality.of(np.array([rank])).recall == recall


def outcomes(aged: bool = True) -> list[Outcome]:
    trial = tgb(random_log(1))
    made = []
    for name in ("a<b", "c&d"):
        ranks = np.random.default_rng(len(made)).integers(1, 13, len(trial.tested)).astype(np.float64)
        outcome = Outcome(name, trial, ranks, 1.25)
        if aged:
            outcome.by_age = [(Age.parse(text), Quality(3, mrr, 0.5)) for text, mrr in (("0-10s", 0.8), ("1h", 0.4))]
        made.append(outcome)
    return made


def test_parts_are_those_of_the_trial_and_the_last_one_counts() -> None:
    outcome = outcomes()[0]
    part = outcome.trial.parts["test"]
    assert outcome.parts == {"val": Quality.of(outcome.ranks[: part.start]), "test": Quality.of(outcome.ranks[part])}
    assert outcome.counted == outcome.parts["test"]


def test_segments_cover_the_stream_once() -> None:
    outcome = outcomes()[0]
    segments = outcome.segments
    assert len(segments) == STRETCHES
    assert segments[-1].until == 1.0
    assert sum(segment.quality.tested for segment in segments) == len(outcome.ranks)
    mean = np.average([s.quality.mrr for s in segments], weights=[s.quality.tested for s in segments])
    assert mean == pytest.approx(np.mean(1 / outcome.ranks))


def test_a_stream_shorter_than_its_segments_has_fewer() -> None:
    trial = prequential(random_log(1, events=3))
    outcome = Outcome("x", trial, np.ones(len(trial.tested)), 0.0)
    assert len(outcome.segments) == len(trial.tested) < STRETCHES


def test_the_report_is_json_and_says_how_it_was_measured() -> None:
    made = outcomes()
    told = json.loads(json.dumps(report(made[0].trial, made)))
    assert (told["protocol"], told["candidates"], told["ties"], told["counted"]) == (
        "tgb",
        "all items",
        "mean rank",
        "test",
    )
    first = told["scorers"][0]
    assert first["scorer"] == "a<b"
    assert first["parts"]["test"]["mrr"] == pytest.approx(made[0].counted.mrr, abs=1e-5)
    assert first["ages"][1] == {"age": "1h", "mean_age_s": 3600.0, "tested": 3, "mrr": 0.4, "recall_at_10": 0.5}
    assert len(first["stream"]) == STRETCHES
