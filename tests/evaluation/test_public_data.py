"""The figures that docs/evaluation.md states, measured again where the data are.

The Wikipedia log has no package to come from: it is read from data/ml_wikipedia.txt, or from where
USER_STATE_WIKIPEDIA says; MovieLens comes out of recbole's wheel, as in examples/movielens.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from examples.movielens import run
from user_state.evaluation.catalogue import Choice
from user_state.evaluation.interactions import Interactions
from user_state.evaluation.log_files import Reading, read_interactions
from user_state.evaluation.results import Outcome
from user_state.evaluation.scoring import measure
from user_state.evaluation.trials import Age, Trial, aged, prequential, tgb
from user_state.events.convert import Columns

WIKIPEDIA = Path(os.environ.get("USER_STATE_WIKIPEDIA", run.DATA / "ml_wikipedia.txt"))


@pytest.fixture(scope="module")
def wikipedia() -> Interactions:
    if not WIKIPEDIA.exists():
        pytest.skip(f"needs the JODIE Wikipedia log in {WIKIPEDIA}; docs/evaluation.md says where it is")
    return read_interactions(WIKIPEDIA)


@pytest.fixture(scope="module")
def movielens() -> Interactions:
    try:
        folder = run.fetch(run.DATA)
    except run.UnavailableError as exc:
        pytest.skip(str(exc))
    return read_interactions(folder / "ml-100k.inter", Reading(columns=Columns(value="rating"), min_value=4))


def measured(text: str, trial: Trial) -> Outcome:
    choice = Choice.parse(text)
    fitting = choice.trial(trial)
    return Outcome(text, fitting, measure(text, choice.make(trial.log), fitting), 0.0)


def test_the_wikipedia_log_is_the_published_one(wikipedia: Interactions) -> None:
    assert (len(wikipedia), len(wikipedia.users), len(wikipedia.items)) == (157_474, 8_227, 1_000)


def test_edgebank_is_reproduced(wikipedia: Interactions) -> None:
    parts = measured("edgebank", tgb(wikipedia)).parts
    assert parts["test"].mrr == pytest.approx(0.495, abs=0.001)
    assert parts["val"].mrr == pytest.approx(0.527, abs=0.001)


def test_chance_gets_its_due_on_wikipedia(wikipedia: Interactions) -> None:
    assert measured("chance", tgb(wikipedia)).counted.mrr == pytest.approx(0.00749, abs=0.0012)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "least"),
    [
        ("recent", 0.82),
        ("recent:keep=8", 0.818),
        ("sketch", 0.79),
        ("sketch:dimensions=256", 0.795),
        ("mixture", 0.827),
        ("recent:records=true", 0.818),
        ("mixture:records=true", 0.822),
    ],
)
def test_our_methods_hold_their_figures_on_wikipedia(wikipedia: Interactions, text: str, least: float) -> None:
    assert measured(text, tgb(wikipedia)).counted.mrr >= least


@pytest.mark.slow
def test_half_precision_loses_next_to_nothing(wikipedia: Interactions) -> None:
    single, half = (
        measured(f"sketch:storage={storage}", tgb(wikipedia).only("test")).counted.mrr
        for storage in ("float32", "float16")
    )
    assert abs(single - half) < 0.002


@pytest.mark.slow
def test_an_older_state_is_a_worse_one(wikipedia: Interactions) -> None:
    trial = tgb(wikipedia).only("test")
    figures = [measured("recent", aged(trial, Age.parse(age))).counted.mrr for age in ("0-10s", "60s", "1h", "24h")]
    assert figures == sorted(figures, reverse=True)
    np.testing.assert_allclose(figures, [0.822, 0.806, 0.709, 0.618], atol=0.003)


@pytest.mark.network
def test_chance_gets_its_due_on_movielens(movielens: Interactions) -> None:
    trial = prequential(movielens)
    assert (len(movielens), len(movielens.items), len(trial.tested)) == (55_375, 1_682, 55_375)
    assert measured("chance", trial).counted.recall == pytest.approx(10 / 1_640, abs=0.0015)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("popularity", 0.088, 0.091),
        ("transitions", 0.115, 0.119),
        *(
            pytest.param(*figures, marks=pytest.mark.nightly)
            for figures in (
                ("transitions:last=3", 0.144, 0.149),
                ("isgd", 0.055, 0.07),
                ("projection", 0.145, 1.0),
                ("table", 0.177, 1.0),
            )
        ),
    ],
)
def test_figures_on_movielens(movielens: Interactions, text: str, least: float, most: float) -> None:
    assert least <= measured(text, prequential(movielens)).counted.recall <= most
