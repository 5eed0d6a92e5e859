"""Scores from records: through the pipeline's fold and through bytes, equal to numpy, and never of the future."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.logs import log_of, random_log
from user_state.durations import SECOND_US
from user_state.embeddings.hashed_vectors import hashed_vectors
from user_state.errors import InputError, SpecError
from user_state.evaluation import replay
from user_state.evaluation.interactions import Interactions
from user_state.evaluation.memory_store import MemoryStore
from user_state.evaluation.own_spec import own_rows, own_spec
from user_state.evaluation.replay import LogReplay, Reading
from user_state.evaluation.scorers.record_embedding import RecordEmbedding, identity_sketch
from user_state.evaluation.scorers.reference_sketch import ReferenceSketch
from user_state.evaluation.scoring import measure
from user_state.evaluation.trials import tgb
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import parse_spec
from user_state.store.store import Answer, Replaced, Replacement, Stored

SKETCH = {"kind": "decayed_mean", "of": "item_id", "dimensions": 16, "half_life": ["1m", "1h"]}


def plan_and_rows(log: Interactions) -> tuple[Plan, list[tuple[object, ...]]]:
    plan = compile_plan(own_spec({"embeddings": {"sketch": SKETCH}}))
    return plan, list(own_rows(plan, log))


@pytest.mark.parametrize("seed", range(3))
def test_records_score_as_plain_numpy_does_at_every_prefix(seed: int) -> None:
    log = random_log(seed, events=60)
    records, plain = (make(log, dimensions=32, half_lives="1m+1h") for make in (identity_sketch, ReferenceSketch))
    for position in range(len(log)):
        asked = int(log.user[position]), int(log.time_us[position])
        np.testing.assert_allclose(records.scores(*asked), plain.scores(*asked), atol=1e-6)
        records.learn(position, position + 1)
        plain.learn(position, position + 1)


@pytest.mark.parametrize("seed", range(3))
def test_records_rank_as_plain_numpy_does(seed: int) -> None:
    log = random_log(seed)
    trial = tgb(log)
    settings = {"dimensions": 32, "half_lives": "1m+1h"}
    ranks = measure("sketch", identity_sketch(log, **settings), trial)
    np.testing.assert_array_equal(measure("reference", ReferenceSketch(log, **settings), trial), ranks)
    assert len(set(ranks.tolist())) > 3


def test_many_readings_together_are_each_of_what_was_visible_to_it_and_no_more() -> None:
    log = random_log(4)
    plan, rows = plan_and_rows(log)
    readings = [Reading(log.users[log.user[p]], int(log.time_us[p]), p - p % 5) for p in range(50, len(log))]
    together = LogReplay(plan, rows, "here").embeddings(readings, ["sketch_1m", "sketch_1h"])
    vectors = hashed_vectors(log.items, 16)
    for reading, means in zip(readings, together, strict=True):
        mine = [p for p in range(reading.visible) if log.users[log.user[p]] == reading.user]
        for mean, half_life_us in zip(means, (60 * SECOND_US, 3600 * SECOND_US), strict=True):
            weight = np.array([2.0 ** ((int(log.time_us[p]) - reading.at_us) / half_life_us) for p in mine])
            expected = weight @ vectors[log.item[mine]] / weight.sum() if mine else np.zeros(16)
            np.testing.assert_allclose(mean, expected, atol=1e-6)


def test_who_did_nothing_or_is_unknown_has_no_direction() -> None:
    log = random_log(5)
    plan, rows = plan_and_rows(log)
    at_us = int(log.time_us[-1])
    readings = [Reading("u1", at_us, 0), Reading("nobody", at_us, len(log)), Reading("u1", at_us, len(log))]
    found = LogReplay(plan, rows, "here").embeddings(readings, ["sketch_1m"])
    assert found.any(axis=(1, 2)).tolist() == [False, False, True]


def test_many_readings_are_answered_in_parts_that_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    log = random_log(5)
    plan, rows = plan_and_rows(log)
    readings = [Reading(log.users[log.user[p]], int(log.time_us[p]), p) for p in range(len(log))]
    whole = LogReplay(plan, rows, "here").embeddings(readings, ["sketch_1m"])
    monkeypatch.setattr(replay, "QUESTIONS_AT_ONCE", 7)
    np.testing.assert_array_equal(LogReplay(plan, rows, "here").embeddings(readings, ["sketch_1m"]), whole)


def test_asked_one_by_one_it_says_what_it_says_when_asked_ahead() -> None:
    log = random_log(6)
    foreseeing, plain = identity_sketch(log, dimensions=16), identity_sketch(log, dimensions=16)
    trial = tgb(log)
    ranks = measure("foreseeing", foreseeing, trial)

    class Plain:
        learn = plain.learn
        scores = plain.scores

    np.testing.assert_array_equal(measure("plain", Plain(), trial), ranks)


def test_the_embedding_of_a_teams_own_spec_weighs_what_the_spec_weighs() -> None:
    text = """
name: feed
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 400d
embeddings:
  taste: {kind: decayed_mean, of: item_id, dimensions: 64, half_life: [1h], weights: {like: 1.0, skip: -1.0}}
  tabled: {kind: decayed_mean, of: item_id, vectors: catalogue, half_life: [1h]}
items: {catalogue: {dimensions: 8}}
"""
    plan = compile_plan(parse_spec(text, beside=Path()))
    log = log_of(("u", "tea", 0), ("u", "jam", 1), ("u", "rye", 2))
    names = [field.name for field in plan.fields]
    actions = ["like", "skip", "view"]
    rows = []
    for position, time_us in enumerate(log.time_us.tolist()):
        fields = {"item_id": log.items[log.item[position]], "action": actions[position]}
        rows.append(("u", position + 1, time_us, time_us, *(fields[name] for name in names)))
    scorer = RecordEmbedding(log, plan, rows, "taste")
    scorer.learn(0, 3)
    scores = dict(zip(log.items, scorer.scores(0, int(log.time_us[-1])).tolist(), strict=True))
    assert scores["tea"] > 0.3
    assert scores["jam"] < -0.3
    assert abs(scores["rye"]) < 0.3
    with pytest.raises(InputError, match="over hash vectors, got tabled, over a table: see scorer composed"):
        RecordEmbedding(log, plan, rows, "tabled")
    with pytest.raises(InputError, match=r"embedding of the spec \(tabled, taste\), got 'tase'"):
        RecordEmbedding(log, plan, rows, "tase")


def test_an_event_that_is_refused_is_an_error_and_not_left_out_in_silence() -> None:
    log = random_log(7)
    plan, rows = plan_and_rows(log)
    rows[1] = (rows[0][0], rows[0][1], *rows[1][2:])
    replayed = LogReplay(plan, rows, "here")
    with pytest.raises(InputError, match=r"every event of here to be folded, got 1 of \d+ duplicate"):
        replayed.embeddings([Reading(str(rows[0][0]), int(log.time_us[-1]), len(log))], ["sketch_1m"])


def test_dimensions_that_no_spec_can_have_are_refused() -> None:
    with pytest.raises(SpecError, match="dimensions"):
        identity_sketch(random_log(0), dimensions=0)


def test_half_precision_is_rounded_after_every_interaction() -> None:
    log = random_log(8)
    single, half = (ReferenceSketch(log, dimensions=32, storage=storage) for storage in ("float32", "float16"))
    single.learn(0, 200)
    half.learn(0, 200)
    difference = np.abs(single.scores(0, 0) - half.scores(0, 0)).max()
    assert 0 < difference < 0.01


def test_the_store_in_memory_refuses_what_expects_another_version() -> None:
    store = MemoryStore()
    first, second = bytes(10) + b"version1" + bytes(8), bytes(10) + b"version2" + bytes(8)
    assert store.read(["u"]) == [Stored(None, None)]
    assert store.replace([Replacement("u", b"", first, b"s")]) == Replaced([Answer.DONE])
    assert store.replace([Replacement("u", b"", second, b"s")]) == Replaced([Answer.CONFLICT])
    assert store.replace([Replacement("u", b"version1", second, b"t")]) == Replaced([Answer.DONE])
    assert store.read(["u"]) == [Stored(second, b"t")]


def test_the_store_in_memory_compares_without_writing() -> None:
    store = MemoryStore()
    held = bytes(10) + b"version1" + bytes(8)
    store.replace([Replacement("u", b"", held, b"s")])
    assert store.take_replaced() == ["u"]
    batch = [Replacement(user, expected, None) for user in ("u", "v") for expected in (b"version1", b"")]
    assert store.replace(batch) == Replaced([Answer.DONE, Answer.CONFLICT, Answer.CONFLICT, Answer.DONE])
    assert (store.read(["u", "v"]), store.take_replaced()) == ([Stored(held, b"s"), Stored(None, None)], [])
    assert store.replace([]) == Replaced([])


def test_rows_of_a_plan_that_reads_more_than_the_item_cannot_be_made_up() -> None:
    weighed = {**SKETCH, "weights": {"like": 1.0}}
    with pytest.raises(ValueError, match="reads item_id alone"):
        own_rows(compile_plan(own_spec({"embeddings": {"sketch": weighed}})), random_log(0))
