"""The mergeable Misra-Gries rule: bounded keys, exact totals, and errors no larger than promised."""

import random
from collections import Counter

import numpy as np
import pytest

from user_state.core.keyed_rows import REST, KeyedRows, add_up, cut, side_by_side, with_height


def rows_of(groups, width=0, dtype=np.int64):
    """Return rows of {group: {key: weight}}, a key of None being the rest; sums are ten times the weights."""
    flat = [(g, REST if key is None else key, w) for g, held in groups.items() for key, w in held.items()]
    group, key, weight = (np.array(column) for column in zip(*flat, strict=True))
    return KeyedRows(group, key[None, :], weight.astype(dtype), np.tile(weight * 10.0, (width, 1)))


def groups_of(rows):
    found = {}
    for group, key, weight in zip(rows.group.tolist(), rows.keys[0].tolist(), rows.weight.tolist(), strict=True):
        found.setdefault(group, {})[None if key == REST else key] = weight
    return found


def cut_by_hand(held, most):
    """Return a group's keys by the rule of the paper, one key at a time."""
    rest = held.get(None, 0)
    keys = {key: weight for key, weight in held.items() if key is not None}
    if len(keys) > most:
        less = sorted(keys.values(), reverse=True)[most]
        rest += sum(min(weight, less) for weight in keys.values())
        keys = {key: weight - less for key, weight in keys.items() if weight > less}
    return {**keys, **({None: rest} if rest else {})}


@pytest.mark.parametrize(
    ("held", "most", "expected"),
    [
        ({1: 5}, 1, {1: 5}),
        ({1: 5, 2: 3}, 2, {1: 5, 2: 3}),
        ({1: 5, 2: 3}, 1, {1: 2, None: 6}),
        ({1: 5, 2: 3, 3: 1}, 2, {1: 4, 2: 2, None: 3}),
        ({1: 2, 2: 2}, 1, {None: 4}),
        ({1: 2, 2: 2, 3: 2, 4: 9}, 2, {4: 7, None: 8}),
        ({1: 5, 2: 3, None: 7}, 1, {1: 2, None: 13}),
        ({1: 5, None: 7}, 1, {1: 5, None: 7}),
        ({None: 7}, 1, {None: 7}),
    ],
)
def test_a_group_is_cut_as_the_rule_says(held, most, expected):
    assert groups_of(cut(add_up(rows_of({4: held})), lambda group: np.full(len(group), most))) == {4: expected}
    assert cut_by_hand(held, most) == expected


def test_groups_are_cut_by_themselves_each_to_its_own_number_of_keys():
    rng = random.Random(1)
    groups = {
        g: {key: rng.randrange(1, 6) for key in rng.sample([None, *range(20)], rng.randrange(1, 15))} for g in range(60)
    }
    most = np.array([rng.randrange(1, 9) for _ in range(60)])
    found = groups_of(cut(add_up(rows_of(groups)), lambda group: most[group]))
    assert found == {g: cut_by_hand(held, most[g]) for g, held in groups.items()}
    assert any(len(held) > most[g] for g, held in groups.items())


def test_the_sums_of_a_key_shrink_with_its_count_and_the_rest_takes_what_is_missing():
    rows = cut(add_up(rows_of({0: {1: 4, 2: 1}}, width=1)), lambda group: np.ones(len(group), int))
    assert groups_of(rows) == {0: {1: 3, None: 2}}
    assert dict(zip(rows.keys[0].tolist(), rows.sums[0].tolist(), strict=True)) == {1: 30.0, REST: 20.0}


def test_sums_without_bounds_leave_with_the_keys_that_go():
    rows = rows_of({0: {1: 4, 2: 1}}, width=1)
    rows.sums[0] = [1.0, np.inf]
    rows = cut(rows, lambda group: np.ones(len(group), int))
    assert dict(zip(rows.keys[0].tolist(), rows.sums[0].tolist(), strict=True)) == {1: 0.75, REST: np.inf}


def test_equal_keys_are_added_and_keys_of_several_columns_are_equal_only_in_all_of_them():
    group = np.zeros(6, np.int64)
    keys = np.array([[1, 1, 1, 2, REST, REST], [5, 6, 5, 5, REST, REST]])
    added = add_up(KeyedRows(group, keys, np.array([1, 2, 4, 8, 16, 32]), np.zeros((0, 6))))
    found = {tuple(key): weight for key, weight in zip(added.keys.T.tolist(), added.weight.tolist(), strict=True)}
    assert found == {(1, 5): 5, (1, 6): 2, (2, 5): 8, (REST, REST): 48}
    assert add_up(KeyedRows.empty(2, 1, np.int64)).keys.shape == (2, 0)


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
@pytest.mark.parametrize("most", [1, 2, 7, 30])
def test_no_order_of_merges_misses_more_of_a_key_than_the_rest_over_keys_plus_one(most, dtype):
    rng = random.Random(most)
    for _ in range(30):
        events = [min(int(rng.paretovariate(0.7)), 40) for _ in range(rng.randrange(1, 300))]
        parts = [rows_of({0: {key: 1}}, dtype=dtype) for key in events]
        while len(parts) > 1:
            a, b = (parts.pop(rng.randrange(len(parts))) for _ in range(2))
            parts.append(cut(add_up(side_by_side([a, b])), lambda group: np.full(len(group), most)))
        found, exact = groups_of(parts[0])[0], Counter(events)
        rest = found.pop(None, 0)
        assert len(found) <= most
        assert sum(found.values()) + rest == len(events)
        assert rest / (most + 1) <= len(events) / (most + 1)
        for key, count in exact.items():
            assert count - rest / (most + 1) <= found.get(key, 0) <= count
        if len(exact) <= most:
            assert found == exact


def test_columns_come_and_go_and_a_rest_stays_one():
    keys = np.array([[1, REST], [2, REST]])
    assert with_height(keys, 1).tolist() == [[1, REST]]
    assert with_height(keys, 3).tolist() == [[1, REST], [2, REST], [0, REST]]
