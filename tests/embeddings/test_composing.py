"""Embeddings over a table: composed of the last events when they are read, equal to brute force, whatever came how."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import xxhash

from tests.packed import Records, apply, features, from_events, merge
from tests.trying import T0, D, H, M, S, batch, event, fold_all, plan_of, record_of, spec_of
from user_state import oracle
from user_state.embeddings.composing import mentioned, seen_items
from user_state.embeddings.item_vectors import NoVectors
from user_state.embeddings.table import ItemTable
from user_state.errors import SpecError
from user_state.oracle import AppliedEvent
from user_state.plan.plan import Plan

RNG = np.random.default_rng(11)
ITEMS = [f"i{n}" for n in range(30)]
TABLE = ItemTable(ITEMS, RNG.normal(size=(30, 8)).astype(np.float32))
HALF_LIVES = ["10s", "1h"]
EMBEDDINGS = {
    "mean": {"kind": "decayed_mean"},
    "sum": {"kind": "decayed_sum"},
    "unit": {"kind": "decayed_mean", "normalise": "unit"},
    "fold": {"kind": "fold_in", "alpha0": 0.3, "regularisation": 0.5},
    "find": {"kind": "interests", "most": 3, "threshold": 0.2},
}
SHARED = {"of": "item_id", "vectors": "shelf", "half_life": HALF_LIVES, "last": 12}


def parts(**more: object) -> dict[str, object]:
    embeddings = {name: {**SHARED, **settings, **more} for name, settings in EMBEDDINGS.items()}
    return {"embeddings": embeddings, "items": {"shelf": {"dimensions": 8}}}


WEIGHTS = {"view": 1.0, "like": 3.0, "skip": -1.0}
PARTS = parts(weights=WEIGHTS, where={"bought": [True, False]})
PLAN = plan_of(**PARTS)


def events_of(seed: int, count: int = 40, user: str = "u") -> list[dict[str, object]]:
    """Events of items half of which are in no table, of every action, at times that repeat."""
    rng = random.Random(seed)
    return [
        event(
            T0 + rng.choice([0, S, M, rng.randrange(2 * H)]),
            user,
            f"{user}{n}",
            item_id=rng.choice([*ITEMS, *(f"x{n}" for n in range(15)), None]),
            action=rng.choice(["view", "like", "skip", "share"]),
            bought=rng.choice([True, False, None]),
        )
        for n in range(count)
    ]


def expected_of(events: list[dict[str, object]], at_us: int, settings: dict[str, object] = PARTS) -> oracle.Expected:
    applied = [
        AppliedEvent(e["event_time"], xxhash.xxh64_intdigest(e["event_id"].encode()), e["event_time"], e)
        for e in events
    ]
    vectors = dict(zip(TABLE.ids, TABLE.vectors, strict=True))
    gram = sum(np.outer(v, v) for v in TABLE.vectors.astype(np.float64))
    return oracle.features(spec_of(**settings).spec, applied, at_us, {"shelf": oracle.ItemTable(vectors, gram)})


def assert_equal(plan: Plan, records: Records, user: int, expected: oracle.Expected, at_us: int) -> None:
    found = features(plan, records, at_us, {"shelf": TABLE})
    assert list(found.embeddings) == list(expected.embeddings)
    for name, vector in expected.embeddings.items():
        np.testing.assert_allclose(found.embeddings[name][user], vector, rtol=1e-5, atol=1e-5, err_msg=name)
    for name, weights in expected.arrays.items():
        np.testing.assert_allclose(found.arrays[name][user], weights, rtol=2**-23, atol=2**-149, err_msg=name)


@pytest.mark.parametrize("seed", range(4))
def test_every_prefix_equals_brute_force_at_any_time_of_reading(seed: int) -> None:
    events = events_of(seed)
    for count in (0, 1, 2, 3, 5, 8, 13, 21, 40):
        records = record_of(PLAN, events[:count]) if count else Records.empty(PLAN, 1)
        newest = max((e["event_time"] for e in events[:count]), default=T0)
        for at_us in (newest, newest + H, newest + 400 * D):
            assert_equal(PLAN, records, 0, expected_of(events[:count], at_us), at_us)


@pytest.mark.parametrize("seed", range(3))
def test_any_order_batching_and_split_gives_the_same_bits(seed: int) -> None:
    events = events_of(seed)
    whole = features(PLAN, record_of(PLAN, events), T0 + 3 * H, {"shelf": TABLE})
    shuffled = random.Random(seed).sample(events, len(events))
    batched = fold_all(PLAN, [shuffled[:7], shuffled[7:8], shuffled[8:30], shuffled[30:]])
    halves = [from_events(PLAN, batch(PLAN, shuffled[a:b])) for a, b in ((0, 20), (20, 40))]
    for records in (batched, merge(PLAN, halves[0], halves[1]), merge(PLAN, halves[1], halves[0])):
        again = features(PLAN, records, T0 + 3 * H, {"shelf": TABLE})
        for name, vectors in whole.embeddings.items():
            np.testing.assert_array_equal(again.embeddings[name], vectors, name)


def test_many_users_are_each_read_as_if_alone() -> None:
    events = list(itertools.chain(*(events_of(n, 3 * n + 1, f"u{n}") for n in range(12))))
    records = record_of(PLAN, events)
    users = list(dict.fromkeys(e["user_id"] for e in events))
    for index, user in enumerate(users):
        mine = [e for e in events if e["user_id"] == user]
        assert_equal(PLAN, records, index, expected_of(mine, T0 + 3 * H), T0 + 3 * H)


def test_only_the_last_events_count_and_a_late_one_moves_none_but_those_it_follows() -> None:
    plan = plan_of(**parts(last=2))
    events = [event(T0 + n * S, event_id=f"e{n}", item_id=f"i{n}") for n in range(4)]
    late = event(T0 + 2 * S + 1, event_id="late", item_id="i9")
    on_time = features(plan, record_of(plan, events), T0 + M, {"shelf": TABLE})
    with_late = features(plan, fold_all(plan, [events, [late]]), T0 + M, {"shelf": TABLE})
    shares = np.exp2(-np.array([1.0, 0.0]) / 10)
    np.testing.assert_allclose(
        on_time.embeddings["mean_10s"][0], shares @ TABLE.vectors[[2, 3]] / shares.sum(), rtol=1e-5
    )
    shares = np.exp2(-np.array([0.999999, 0.0]) / 10)
    np.testing.assert_allclose(
        with_late.embeddings["mean_10s"][0], shares @ TABLE.vectors[[9, 3]] / shares.sum(), rtol=1e-5
    )
    too_late = event(T0, event_id="too late", item_id="i9")
    records = apply(plan, record_of(plan, events), batch(plan, [too_late]))
    again = features(plan, records, T0 + M, {"shelf": TABLE})
    np.testing.assert_array_equal(again.embeddings["mean_10s"], on_time.embeddings["mean_10s"])


def test_items_without_a_vector_are_counted_and_left_out() -> None:
    events = [event(T0, event_id=f"e{n}", item_id=item) for n, item in enumerate(["i1", "x1", "x1", "i1"])]
    plan = plan_of(**parts())
    found = features(plan, record_of(plan, events), T0, {"shelf": TABLE})
    assert {name: counts.tolist() for name, counts in found.missing_items.items()}["mean_1h"] == [2]
    assert found.item_versions == {"shelf": TABLE.version}
    np.testing.assert_allclose(found.embeddings["mean_1h"][0], TABLE.vectors[1], rtol=1e-6)
    nothing = features(plan, record_of(plan, events), T0, {"shelf": NoVectors(8)})
    assert nothing.missing_items["mean_1h"].tolist() == [4]
    assert nothing.item_versions == {"shelf": ""}
    assert [name for name, vectors in nothing.embeddings.items() if vectors.any()] == []


def test_another_version_applies_at_once_and_wholly() -> None:
    other = ItemTable(ITEMS, TABLE.vectors[::-1].copy())
    records = record_of(PLAN, events_of(1))
    first, second = (features(PLAN, records, T0 + 3 * H, {"shelf": table}) for table in (TABLE, other))
    assert first.item_versions != second.item_versions
    assert not np.allclose(first.embeddings["mean_1h"], second.embeddings["mean_1h"])


def test_what_is_mentioned_is_what_is_looked_up() -> None:
    events = [event(T0 + n, event_id=f"e{n}", item_id=f"i{n % 20}", bought=True) for n in range(40)]
    records = record_of(PLAN, events)
    assert set(mentioned(PLAN, records.histories)["shelf"]) == {f"i{n % 20}" for n in range(28, 40)}
    history = PLAN.composed[0].history
    assert set(seen_items(records.histories, history)) == {f"i{n % 20}" for n in range(28, 40)}
    assert mentioned(PLAN, Records.empty(PLAN, 2).histories) == {"shelf": []}


def test_kinds_half_lives_and_a_list_of_the_same_events_share_one_log() -> None:
    listed = {"seen": {"aggregate": "last_k", "of": "item_id", "k": 20, "windows": "lifetime"}}
    assert len(plan_of(**parts(), features=listed).logs) == 1
    assert len(plan_of(**parts()).layout.logs) == 1
    assert plan_of(**parts()).vectors == ()


def test_a_reading_without_the_table_or_of_another_dimension_is_a_mistake_of_the_caller() -> None:
    records = record_of(PLAN, events_of(1))
    with pytest.raises(ValueError, match="expected histories and item vectors, got none"):
        features(PLAN, records, T0)
    with pytest.raises(ValueError, match="got 7 dimensions"):
        features(PLAN, records, T0, {"shelf": NoVectors(7)})


def test_interests_tell_apart_what_a_mean_would_mix() -> None:
    axes = ItemTable(["x", "y", "z"], np.eye(8, dtype=np.float32)[:3])
    plan = plan_of(**parts())
    events = [event(T0 + n * S, event_id=f"e{n}", item_id="xxyxz"[n]) for n in range(5)]
    found = features(plan, record_of(plan, events), T0 + 4 * S, {"shelf": axes})
    np.testing.assert_allclose(found.embeddings["find_1h"][0], np.eye(8)[:3][[0, 2, 1]], atol=1e-6)
    assert found.arrays["find_1h_weights"][0].tolist() == pytest.approx([3, 1, 1], abs=0.01)
    # A fourth interest takes the place of the lightest, once that weighs less than an event.
    events.append(event(T0 + 9 * S, event_id="new", item_id="new"))
    more = ItemTable([*axes.ids, "new"], np.eye(8, dtype=np.float32)[:4])
    found = features(plan, record_of(plan, events), T0 + 9 * S, {"shelf": more})
    assert found.embeddings["find_1h"][0].argmax(axis=1).tolist() == [0, 3, 2]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"vectors": "shelv"}, "expected hash or a table under `items:`, got 'shelv'; did you mean `shelf`?"),
        ({"dimensions": 8}, "over table shelf takes no `dimensions:`"),
        ({"last": 0}, "how many of the last events"),
        ({"kind": "interests", "threshold": 2}, "a number from -1 to 1"),
        ({"kind": "fold_in", "regularisation": 0}, "a number above 0"),
        ({"kind": "fold_in", "vectors": "hash"}, "kind fold_in needs a table of `vectors:`, got hash"),
        ({"vectors": "hash"}, "needs `dimensions:`"),
        ({"vectors": "hash", "dimensions": 4}, "without a table of `vectors:` takes no `last:`"),
        ({"most": 3}, "takes no `most:`; it is for interests"),
    ],
)
def test_specs_that_make_no_sense_are_refused(changed: dict[str, object], message: str) -> None:
    declared = {**SHARED, "kind": "decayed_mean", **changed}
    with pytest.raises(SpecError) as refused:
        spec_of(embeddings={"taste": declared}, items={"shelf": {"dimensions": 8}})
    assert message in str(refused.value)


def test_a_table_may_not_be_named_as_hash_vectors_are() -> None:
    with pytest.raises(SpecError, match="expected another name for a table, 'hash' is for vectors without one"):
        spec_of(items={"hash": {"dimensions": 8}})


def test_folding_in_over_a_learned_table_is_refused() -> None:
    with pytest.raises(SpecError, match="expected a loaded table for kind fold_in"):
        spec_of(
            embeddings={"taste": {**SHARED, "kind": "fold_in"}},
            items={"shelf": {"dimensions": 8, "learned": {"of": "item_id"}}},
        )
