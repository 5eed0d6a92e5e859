"""Ranks, and the run of a scorer over a trial, against loops that ask the same in the plainest way."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.logs import log_of, random_log
from user_state.errors import InputError
from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.scorers.chance import Chance
from user_state.evaluation.scorers.edgebank import EdgeBank
from user_state.evaluation.scoring import Question, mean_rank, measure
from user_state.evaluation.trials import prequential, tgb


def expected_rank(scores: list[float], target: int, candidates: list[bool]) -> float:
    """The mean position of the target over every order in which its equals can stand."""
    others = [score for item, score in enumerate(scores) if candidates[item] and item != target]
    above = sum(score > scores[target] for score in others)
    equals = sum(score == scores[target] for score in others)
    positions = [order.index("target") for order in itertools.permutations(["target", *range(equals)])]
    return 1 + above + sum(positions) / len(positions)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=7), st.data())
def test_the_rank_is_the_mean_over_all_orders_of_equals(values: list[int], data: st.DataObject) -> None:
    scores = np.array(values, np.float64)
    target = data.draw(st.integers(0, len(values) - 1))
    mask = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    assert mean_rank(scores, target, np.array(mask)) == expected_rank(scores.tolist(), target, mask)
    assert mean_rank(scores, target) == expected_rank(scores.tolist(), target, [True] * len(values))


class Told:
    """Says of each item how often it was learnt, and notes what it was told and asked."""

    def __init__(self, log: Interactions) -> None:
        self.log = log
        self.counts = np.zeros(len(log.items))
        self.learnt: list[int] = []
        self.asked: list[tuple[int, int, int]] = []

    def learn(self, begin: int, end: int) -> None:
        self.learnt += range(begin, end)
        np.add.at(self.counts, self.log.item[begin:end], 1)

    def scores(self, user: int, at_us: int) -> F64:
        self.asked.append((user, at_us, len(self.learnt)))
        return self.counts


@pytest.mark.parametrize("seed", range(5))
def test_tgb_is_what_a_plain_loop_says(seed: int) -> None:
    log = random_log(seed)
    trial = tgb(log)
    told = Told(log)
    ranks = measure("told", told, trial)
    assert told.learnt == list(range(len(told.learnt)))
    expected = []
    for position in trial.tested:
        earlier = [p for p in range(len(log)) if log.time_us[p] < log.time_us[position]]
        counts = [sum(log.item[p] == item for p in earlier) for item in range(len(log.items))]
        expected.append(expected_mean(counts, int(log.item[position]), [True] * len(counts)))
    np.testing.assert_array_equal(expected, ranks)
    assert any(log.time_us[p] == log.time_us[p - 1] for p in trial.tested), "no two at one time: nothing was tried"


@pytest.mark.parametrize("seed", range(5))
def test_prequential_is_what_a_plain_loop_says(seed: int) -> None:
    log = random_log(seed)
    ranks = measure("told", Told(log), prequential(log))
    expected = []
    for position in range(len(log)):
        met = {int(log.item[p]) for p in range(position) if log.user[p] == log.user[position]}
        if log.item[position] in met:
            continue
        counts = [sum(log.item[p] == item for p in range(position)) for item in range(len(log.items))]
        expected.append(
            expected_mean(counts, int(log.item[position]), [item not in met for item in range(len(counts))])
        )
    np.testing.assert_array_equal(expected, ranks)
    assert len(expected) < len(log), "nobody repeated anything: nothing was left out"


def expected_mean(counts: list[int], target: int, candidates: list[bool]) -> float:
    others = [count for item, count in enumerate(counts) if candidates[item] and item != target]
    return 1 + sum(c > counts[target] for c in others) + sum(c == counts[target] for c in others) / 2


def test_a_scorer_that_says_the_same_of_all_gets_the_middle() -> None:
    log = log_of(*[("u", f"i{n}", n) for n in range(9)])
    assert measure("none", Constant(log, 0.0), prequential(log)).tolist() == [5, 4.5, 4, 3.5, 3, 2.5, 2, 1.5, 1]


class Constant:
    def __init__(self, log: Interactions, value: float, at: int = 0) -> None:
        self.all = np.zeros(len(log.items))
        self.all[at] = value

    def learn(self, begin: int, end: int) -> None: ...

    def scores(self, user: int, at_us: int) -> F64:
        return self.all


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_an_error_that_names_the_scorer_and_the_item(value: float) -> None:
    log = log_of(("u", "tea", 1), ("u", "jam", 2))
    with pytest.raises(InputError, match=r"scorer wild, got -?(nan|inf) for item 'tea' at interaction 1 of here"):
        measure("wild", Constant(log, value, at=1), prequential(log))


def test_not_one_score_an_item_is_an_error_that_names_the_scorer() -> None:
    log = log_of(("u", "tea", 1), ("u", "jam", 2))
    short = Constant(log, 1.0)
    short.all = np.zeros(3)
    with pytest.raises(InputError, match=r"expected 2 scores of scorer short, one an item, got \(3,\)"):
        measure("short", short, prequential(log))


def test_chance_gets_what_is_due_to_chance() -> None:
    """MRR H(n)/n and R@10 10/n over n candidates."""
    log = log_of(*[(f"u{n}", f"i{n % 100:02}", n) for n in range(20_000)])
    ranks = measure("chance", Chance(log), prequential(log))
    harmonic = sum(1 / n for n in range(1, 101)) / 100
    assert np.mean(1 / ranks) == pytest.approx(harmonic, abs=4 * np.std(1 / ranks) / np.sqrt(len(ranks)))
    assert np.mean(ranks <= 10) == pytest.approx(0.1, abs=4 * 0.3 / np.sqrt(len(ranks)))


def test_one_user_one_interaction_one_item() -> None:
    log = log_of(("u", "tea", 1))
    assert measure("edgebank", EdgeBank(log), prequential(log)).tolist() == [1.0]


def test_what_comes_is_foreseen_without_what_came_of_it() -> None:
    log = random_log(1)

    class Foreseeing(Told):
        def foresee(self, questions: list[Question]) -> None:
            self.asked_ahead = [tuple(question) for question in questions]

    for trial in (tgb(log), prequential(log)):
        scorer = Foreseeing(log)
        plain = measure("told", Told(log), trial)
        np.testing.assert_array_equal(plain, measure("foreseeing", scorer, trial))
        assert scorer.asked_ahead == scorer.asked
