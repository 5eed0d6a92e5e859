"""Padded lists: what a sequence model is fed."""

import numpy as np
import pytest

from tests.packed import features
from tests.trying import T0, S, event, plan_of, record_of
from user_state.errors import InputError
from user_state.state.events import NULL_INT
from user_state.state.padding import Padded

PLAN = plan_of(
    sequences={
        "recent": {"fields": ["item_id", "action", "event_time", "value", "amount", "bought"], "last": 4},
        "likes": {"fields": ["item_id"], "last": 2, "where": {"action": "like"}},
    },
    features={
        "seen": {"aggregate": "last_k", "of": "item_id", "k": 3, "windows": "lifetime"},
        "by": {"aggregate": "count_by", "by": ["item_id", "action"], "k": 3, "windows": "lifetime"},
    },
)
EVENTS = [
    *(event(T0 + n * S, "a", item_id=f"i{n % 3}", action="like" if n == 4 else "view", value=n / 2) for n in range(5)),
    event(T0, "b", item_id=None, amount=7, bought=True),
    event(T0 + S, "b", item_id="i9"),
]
"""User a: i0 i1 i2 i0 i1, the last a like; user b: null, i9."""


@pytest.fixture(scope="module")
def read() -> dict[str, Padded]:
    records = record_of(PLAN, EVENTS)
    return features(PLAN, records, T0 + 9 * S).sequences


def test_columns_are_arrays_of_users_by_places_with_lengths_and_a_mask(read):
    recent = read["recent"]
    assert (len(recent), recent.last, recent.length.tolist()) == (2, 4, [4, 2])
    assert recent.mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert recent["item_id"].tolist() == [["i1", "i0", "i2", "i1"], ["i9", None, None, None]]
    assert recent["event_time"].dtype == np.int64
    assert recent["event_time"].tolist()[1] == [T0 + S, T0, NULL_INT, NULL_INT]
    np.testing.assert_array_equal(recent["value"], [[2.0, 1.5, 1.0, 0.5], [np.nan] * 4])
    assert recent["amount"].tolist()[1] == [NULL_INT, 7, NULL_INT, NULL_INT]
    assert recent["bought"].tolist()[1] == [NULL_INT, 1, NULL_INT, NULL_INT]


def test_strings_are_codes_into_the_columns_own_dictionary(read):
    coded = read["recent"].coded("item_id")
    assert coded.texts.tolist() == ["i0", "i1", "i2", "i9"]
    assert coded.codes.tolist() == [[1, 0, 2, 1], [3, -1, -1, -1]]
    assert read["recent"].coded("action").texts.tolist() == ["like", "view"]
    assert read["likes"].coded("item_id").codes.tolist() == [[0, -1], [-1, -1]]
    assert read["seen_last_k_lifetime"].coded("item_id").codes.tolist() == [[1, 0, 2], [3, -1, -1]]


def test_a_vocabulary_gives_ids_and_unknown_and_padding_may_differ(read):
    ids = read["recent"].ids("item_id", {"i0": 10, "i1": 11, "i2": 12}, unknown=1)
    assert ids.dtype == np.int64
    assert ids.tolist() == [[11, 10, 12, 11], [1, 1, 0, 0]]
    assert read["recent"].ids("item_id", {}).tolist() == [[0] * 4, [0] * 4]
    assert read["recent"].ids("item_id", {}, unknown=5, padding=-1).tolist() == [[5] * 4, [5, 5, -1, -1]]


def test_ids_are_what_looking_up_entry_by_entry_gives(read):
    vocabulary = {"i1": 3, "like": 4, "i9": 5}
    for padded in read.values():
        for name in padded.strings:
            expected = np.zeros((len(padded), padded.last), np.int64)
            for user in range(len(padded)):
                for place in range(int(padded.length[user])):
                    expected[user, place] = vocabulary.get(padded[name][user, place], 9)
            np.testing.assert_array_equal(padded.ids(name, vocabulary, unknown=9), expected)


def test_reversed_lists_end_with_the_newest_and_are_padded_behind_all_the_same(read):
    turned = read["recent"].reversed()
    assert turned["item_id"].tolist() == [["i1", "i2", "i0", "i1"], [None, "i9", None, None]]
    np.testing.assert_array_equal(turned.mask, read["recent"].mask)
    assert turned.ids("item_id", {"i9": 9, "i1": 1}).tolist() == [[1, 0, 0, 1], [0, 9, 0, 0]]
    assert turned.of_user(1)["amount"] == [7, None]
    again = turned.reversed()
    for name, grid in read["recent"].columns.items():
        np.testing.assert_array_equal(again[name], grid)


def test_a_table_of_keys_is_padded_as_sequences_are(read):
    table = read["by_count_by_lifetime"]
    assert table.length.tolist() == [3, 1]
    assert table.ids("item_id", {"i0": 1, "i1": 2}).tolist() == [[1, 2, 2], [0, 0, 0]]
    assert table["count"].tolist() == [[2, 1, 1], [1, NULL_INT, NULL_INT]]


def test_no_users_are_no_rows():
    read = features(PLAN, record_of(PLAN, []), T0).sequences["recent"]
    assert (len(read), read.mask.shape, read.ids("item_id", {"i1": 1}).shape) == (0, (0, 4), (0, 4))
    assert read.coded("item_id").texts.tolist() == []
    assert read.reversed()["value"].shape == (0, 4)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda recent: recent["itemid"], r"expected a column \(item_id, action, .*\), got 'itemid'"),
        (lambda recent: recent.coded("value"), r"expected a column of strings \(item_id, action\), got 'value'"),
        (lambda recent: recent.ids("amount", {}), "expected a column of strings"),
    ],
)
def test_a_column_that_is_not_there_is_named_with_those_that_are(read, asked, said):
    with pytest.raises(InputError, match=said):
        asked(read["recent"])


def test_a_number_that_is_the_least_integer_in_floating_point_is_no_null():
    plan = plan_of(
        features={
            "f": {"aggregate": "last_k", "of": "value", "k": 2, "windows": "lifetime"},
            "t": {"aggregate": "sum_by", "of": "amount", "by": "action", "windows": "lifetime"},
        }
    )
    records = record_of(plan, [event(T0, value=float(NULL_INT), amount=NULL_INT + 1), event(T0 + S, value=1.0)])
    read = features(plan, records, T0 + S).sequences
    assert read["f_last_k_lifetime"].of_user(0) == [1.0, float(NULL_INT)]
    assert read["t_sum_by_lifetime"].of_user(0) == {"action": ["view"], "sum": [float(NULL_INT)]}
