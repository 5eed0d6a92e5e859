"""The nearest items: brute force equals a loop, and the graph finds nearly all of what brute force does."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from user_state.embeddings.nearest import NearestItems
from user_state.embeddings.scoring import cosine, score
from user_state.embeddings.table import ItemTable

RNG = np.random.default_rng(5)
TABLE = ItemTable([f"i{n}" for n in range(50)], RNG.normal(size=(50, 4)).astype(np.float32))


def by_loop(vectors: np.ndarray, k: int, exclude: set[str]) -> list[str]:
    scored = [
        (-max(float(v @ z) for v in vectors), row, item)
        for row, (item, z) in enumerate(zip(TABLE.ids, TABLE.vectors, strict=True))
        if item not in exclude
    ]
    return [item for _, _, item in sorted(scored)[:k]]


@pytest.mark.parametrize("k", [1, 7, 49, 50, 60])
@pytest.mark.parametrize("exclude", [set(), {"i3", "i17", "nothing"}])
def test_brute_force_is_what_a_loop_gives(k: int, exclude: set[str]) -> None:
    for vectors in (RNG.normal(size=(1, 4)).astype(np.float32), RNG.normal(size=(3, 4)).astype(np.float32)):
        found = NearestItems(TABLE).search(vectors, k, exclude)
        assert list(found.items) == by_loop(vectors, k, exclude)
        assert found.exact
        assert found.version == TABLE.version
        assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)


def test_equal_scores_come_in_the_order_of_the_table_whatever_k() -> None:
    table = ItemTable(["a", "b", "c", "d"], np.array([[1.0], [2.0], [1.0], [1.0]], np.float32))
    one = np.ones((1, 1), np.float32)
    assert [NearestItems(table).search(one, k).items for k in (1, 2, 3)] == [("b",), ("b", "a"), ("b", "a", "c")]


def test_a_user_without_a_vector_has_no_nearest_items() -> None:
    assert NearestItems(TABLE).search(np.zeros((0, 4), np.float32), 5).items == ()


def test_everything_left_out_leaves_nothing() -> None:
    assert NearestItems(TABLE).search(np.ones((1, 4), np.float32), 5, TABLE.ids).items == ()


def test_the_graph_finds_nearly_what_brute_force_finds() -> None:
    centres = RNG.normal(size=(40, 16))
    vectors = (centres[RNG.integers(40, size=4_000)] + 0.4 * RNG.normal(size=(4_000, 16))).astype(np.float32)
    table = ItemTable([f"i{n}" for n in range(4_000)], vectors)
    graph, brute = NearestItems(table, ann_from=1_000), NearestItems(table)
    assert graph.wait(120)
    shared = 0
    for _ in range(50):
        asked = RNG.normal(size=(1, 16)).astype(np.float32)
        exact = brute.search(asked, 10)
        left_out = exact.items[:3]
        found, rest = graph.search(asked, 10), graph.search(asked, 10, left_out)
        assert (exact.exact, found.exact) == (True, False)
        assert not set(left_out) & set(rest.items)
        assert len(rest.items) == 10
        shared += len(set(found.items) & set(exact.items))
        for item, value in zip(found.items, found.scores.tolist(), strict=True):
            assert value == pytest.approx(float(asked[0] @ vectors[int(item[1:])]), rel=1e-4, abs=1e-5)
    assert shared / 500 >= 0.95


def test_without_the_library_brute_force_answers_for_large_tables_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "usearch", None)
    search = NearestItems(TABLE, ann_from=10)
    assert search.wait()
    assert search.search(np.ones((1, 4), np.float32), 5).exact


def test_scores_of_interests_are_those_of_the_best_and_absent_ones_have_no_say() -> None:
    users = np.array([[[1.0, 0.0], [0.0, 2.0]], [[-1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]], np.float32)
    items = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, -1.0]])
    assert score(users, items).tolist() == [[1.0, 2.0, 0.0], [-1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]


def test_cosines_of_the_nearest_pair() -> None:
    ones = np.array([[3.0, 0.0], [0.0, 1.0]], np.float32)
    others = np.array([[[0.0, 5.0], [1.0, 1.0]], [[-1.0, 0.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]], np.float32)
    assert cosine(ones, others).tolist() == pytest.approx([1.0, 0.0, -np.inf])
    assert cosine(ones[0], others[:, 0]).tolist() == pytest.approx([0.0, -1.0, -np.inf])
    assert cosine(ones[0], np.zeros((0, 2), np.float32)).tolist() == []
