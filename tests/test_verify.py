"""`verify` takes from a sketch what it may say, and nothing further off; of a list it names the entry that is wrong."""

import numpy as np
import pytest

from tests.packed import features
from tests.trying import T0, M, S, event, plan_of, record_of, spec_of
from user_state import oracle
from user_state.results import UserState
from user_state.verify import Difference, _differences

PARTS = {
    "features": {
        "f": {"aggregate": ["approx_distinct", "approx_quantiles"], "of": "value", "quantiles": [0.5], "windows": "1h"}
    }
}
EVENTS = [event(T0 + n * S // 10, value=n / 3) for n in range(5000)]
COUNT, MEDIAN = "f_approx_distinct_1h", "f_approx_quantiles_1h"


def differences(count, median):
    spec = spec_of(**PARTS)
    applied = oracle.replay(spec.spec, [oracle.Arrival(e) for e in EVENTS]).applied["u"]
    expected = oracle.features(spec.spec, applied, T0 + 10 * M)
    state = UserState("u", True, T0, T0, {COUNT: count}, {MEDIAN: np.array([median], np.float32)}, {}, {}, {}, {})
    return [difference.output for difference in _differences(state, expected)]


def test_what_the_sketches_say_is_no_difference():
    plan = plan_of(**PARTS)
    found = features(plan, record_of(plan, EVENTS), T0 + 10 * M)
    count, median = float(np.float32(found.values[0, 0])), found.arrays[MEDIAN][0, 0]
    assert count != 5000
    assert differences(count, median) == []
    assert differences(5000.0, 833.0) == []


@pytest.mark.parametrize(
    ("count", "median", "expected"),
    [
        (4249.0, 833.0, [COUNT]),
        (5751.0, 833.0, [COUNT]),
        (float("nan"), 833.0, [COUNT]),
        (5000.0, 749.0, [MEDIAN]),
        (5000.0, 917.0, [MEDIAN]),
        (0.0, float("nan"), [COUNT, MEDIAN]),
    ],
)
def test_what_lies_beyond_the_bounds_is_one(count, median, expected):
    assert differences(count, median) == expected


LISTS = {
    "f": {"aggregate": ["last_k", "decayed_count_by"], "of": "item_id", "by": "item_id", "k": 3}
    | {"windows": "1h", "half_life": "1h"}
}
TABLE = "f_decayed_count_by_1h"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"f_last_k_1h": ["b", "x"]}, [("f_last_k_1h[1]", "a", "x", np.inf)]),
        ({"f_last_k_1h": ["b"]}, [("f_last_k_1h", ["b", "a"], ["b"], np.inf)]),
        ({"f_last_k_1h": ["b", None]}, [("f_last_k_1h[1]", "a", None, np.inf)]),
        ({TABLE: {"item_id": ["a", "b"], "count": [1.0, 1.0000001]}}, []),
        ({TABLE: {"item_id": ["a", "b"], "count": [1.5, 3.0]}}, [(f"{TABLE}.count[1]", 1.0, 3.0, 2.0)]),
        ({TABLE: {"item_id": ["a", "c"], "count": [1.0, 3.0]}}, [(f"{TABLE}.item_id[1]", "b", "c", np.inf)]),
        ({TABLE: {"item_id": ["a", "b"]}}, [(TABLE, {"item_id": ["a", "b"], "count": [1.0, 1.0]}, None, np.inf)]),
    ],
)
def test_of_a_list_or_table_the_entry_that_is_furthest_off_is_named(changed, expected):
    spec = spec_of(features=LISTS)
    events = [event(T0, item_id="a"), event(T0, item_id="b")]
    applied = oracle.replay(spec.spec, [oracle.Arrival(e) for e in events]).applied["u"]
    right = oracle.features(spec.spec, applied, T0)
    held = {**right.sequences, "f_last_k_1h": ["b", "a"], **changed}
    right.sequences["f_last_k_1h"] = ["b", "a"]  # ties go by the ids' hashes
    found = _differences(UserState("u", True, T0, T0, {}, {}, held, {}, {}, {}), right)
    said = [(d.output, d.expected, d.actual, d.size) for d in found]
    for (output, wanted, got, size), (to_say, to_want, to_get, how_far) in zip(said, expected, strict=True):
        assert (output, wanted, size) == (to_say, to_want, how_far)
        assert got == to_get or to_get is None


def test_a_difference_is_told_in_one_line_however_large_the_vectors():
    expected, actual = np.full((3, 64), 3.038181e-02), np.full((3, 64), -2.338495e-05)
    expected[0, 0] = 1e-9

    told = str(Difference("u1", "find_1h", expected, actual, 0.5))

    assert told.startswith("u1 find_1h: expected [[1.000000e-09 3.038181e-02 ")
    assert told.endswith(" (50 % off)")
    assert "\n" not in told
