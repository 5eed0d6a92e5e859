"""Events with lists: each value counts by itself, and a sequence has the lists as the events had them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.envelope import resealed, sections_of, with_sections
from tests.packed import VERSION, Records, apply, features, from_events, merge, packed
from tests.random_worlds import QUICK
from tests.state.test_migrate import migrated
from tests.trying import T0, M, S, batch, event, fold_all, plan_of, record_of, row, spec_of, value_of
from user_state.errors import EventError, InputError
from user_state.events.decode import EventDecoder
from user_state.events.limits import MAX_LIST_VALUES, MAX_TEXT_BYTES
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.plan.spec_change import spec_change
from user_state.reading.features import Reader
from user_state.spec.event_schema import parse_event_schema
from user_state.state.events import Events
from user_state.worst_case import worst_case

WINDOW = {"windows": "1h"}
KEYED = {
    "n": {"aggregate": ["count_by", "share_by", "entropy_by"], "by": "tags", **WINDOW},
    "spent": {"aggregate": ["sum_by", "mean_by"], "by": "tags", "of": "value", **WINDOW},
    "both": {"aggregate": "count_by", "by": ["action", "sizes"], **WINDOW},
    "fading": {"aggregate": "decayed_count_by", "by": "tags", "half_life": "1h"},
    "kinds": {"aggregate": ["distinct", "approx_distinct"], "of": "tags", **WINDOW},
}
RECENT = {"recent": {"fields": ["tags", "sizes", "ratings"], "last": 4}}


def lists_of(plan: Plan, records: Records) -> dict[str, Any]:
    return {name: padded.of_user(0) for name, padded in features(plan, records, T0 + M).sequences.items()}


def test_a_value_that_an_event_has_twice_counts_twice_and_is_one_of_the_different_ones() -> None:
    plan = plan_of(features=KEYED)
    made = [
        event(T0, tags=["a", "a", "b"], value=10.0, sizes=[1, None, 1]),
        event(T0 + S, tags=["b"], value=1.0, action="like", sizes=[]),
        event(T0 + 2 * S, tags=[], value=100.0),
        event(T0 + 3 * S, tags=None, value=1000.0),
    ]
    records = record_of(plan, made)
    found = lists_of(plan, records)
    assert found["n_count_by_1h"] == {"tags": ["a", "b"], "count": [2, 2]}
    assert found["n_share_by_1h"] == {"tags": ["a", "b"], "share": [0.5, 0.5]}
    assert found["spent_sum_by_1h"] == {"tags": ["a", "b"], "sum": [20.0, 11.0]}
    assert found["spent_mean_by_1h"] == {"tags": ["a", "b"], "mean": [10.0, 5.5]}
    assert found["both_count_by_1h"] == {"action": ["view"], "sizes": [1], "count": [2]}
    assert found["fading_decayed_count_by_1h"]["count"] == pytest.approx([2 * 2 ** (-1 / 60), 2.0], rel=0.02)
    names = ("n_entropy_by_1h", "kinds_distinct_1h", "kinds_approx_distinct_1h")
    assert [value_of(plan, records, name, T0 + M) for name in names] == [pytest.approx(np.log(2)), 2, 2]


def test_a_filter_by_contains_chooses_events_and_not_values() -> None:
    feature = {"aggregate": "count_by", "by": "tags", "where": {"tags": {"contains": "a"}}, **WINDOW}
    plan = plan_of(features={"f": feature})
    records = record_of(plan, [event(T0, tags=["a", "b"]), event(T0, tags=["b", "c"])])
    assert lists_of(plan, records)["f_count_by_1h"] == {"tags": ["a", "b"], "count": [1, 1]}


TEXTS = ["", 'a"b\\c', "\b\f\n\r\t\x00\x1f\x7f", "\u6f22\U0001f389", "[1]", "null"]
WHOLE = [0, -1, 2**63 - 1, -(2**63) + 1, 2**53 + 1]
REALS = [0.0, -0.0, 0.1, 1e15, 1e16, 123456789012345680.0, 1e22, 5e-324, 1.7976931348623157e308, -2.5, 1 / 3]


def test_a_sequence_has_lists_as_the_events_had_them_without_nulls_and_null_for_none() -> None:
    plan = plan_of(sequences=RECENT)
    made = [
        event(T0, tags=TEXTS, sizes=WHOLE, ratings=REALS),
        event(T0 + S, tags=[], sizes=[None], ratings=[2.0]),
        event(T0 + 2 * S, tags=None, sizes=[None, 3, None, 3], ratings=[]),
    ]
    for records in (record_of(plan, made), fold_all(plan, [[one] for one in reversed(made)])):
        recent = lists_of(plan, records)["recent"]
        assert recent["tags"] == [None, None, TEXTS]
        assert recent["sizes"] == [[3, 3], None, WHOLE]
        assert recent["ratings"][:2] == [None, [2.0]]
        assert list(map(str, recent["ratings"][2])) == list(map(str, REALS))


INT64 = st.integers(-(2**63) + 1, 2**63 - 1)


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
    st.lists(INT64),
    st.lists(st.floats(allow_nan=False, allow_infinity=False)),
)
@settings(QUICK, max_examples=150)
def test_any_list_is_read_as_it_was_and_a_record_with_it_is_folded_and_merged(
    tags: list[str], sizes: list[int], ratings: list[float]
) -> None:
    plan = plan_of(sequences=RECENT)
    made = [event(T0, tags=tags, sizes=sizes, ratings=ratings), event(T0 + S, tags=["later"])]
    for records in (fold_all(plan, [made[:1], made[1:]]), merge(plan, *(record_of(plan, [one]) for one in made))):
        recent = lists_of(plan, records)["recent"]
        assert recent["tags"] == [["later"], tags or None]
        assert recent["sizes"] == [None, sizes or None]
        assert list(map(repr, recent["ratings"][1] or [])) == list(map(repr, ratings))


def test_equal_lists_are_one_string_of_the_record() -> None:
    plan = plan_of(sequences={"recent": {"fields": ["tags"], "last": 100}})
    sizes = [
        record_of(plan, [event(T0 + at * S, tags=["red", f"{at % different}"]) for at in range(100)]).size
        for different in (1, 2, 100)
    ]
    assert sizes[1] - sizes[0] == len('["red","1"]') + 2
    assert sizes[2] - sizes[1] > 90 * len('["red","1"]')


def test_lists_are_had_flat_turned_round_and_each_by_itself() -> None:
    plan = plan_of(sequences=RECENT)
    made = [event(T0 + at * S, user, tags=["a", "b"], ratings=[0.5] * at) for user in "uv" for at in range(2)]
    recent = features(plan, record_of(plan, made), T0 + M).sequences["recent"]
    assert recent["tags"].tolist() == [[["a", "b"], ["a", "b"], None, None]] * 2
    flat = recent.flat("tags")
    assert (flat.lengths.tolist(), flat.values.tolist()) == ([[2, 2, 0, 0]] * 2, ["a", "b"] * 4)
    reals, whole = recent.flat("ratings"), recent.flat("sizes")
    assert (reals.lengths.tolist(), reals.values.tolist(), reals.values.dtype) == ([[1, 0, 0, 0]] * 2, [0.5] * 2, "f8")
    assert (whole.lengths.sum(), whole.values.shape, whole.values.dtype) == (0, (0,), "i8")
    assert recent.reversed().of_user(0)["ratings"] == [None, [0.5]]
    recent["tags"][0, 0].append("c")
    assert recent["tags"][0, 1] == recent.of_user(1)["tags"][0] == ["a", "b"]
    with pytest.raises(InputError, match=r"expected a column of lists \(tags, sizes, ratings\), got 'action'"):
        recent.flat("action")
    with pytest.raises(InputError, match=r"expected a column of strings \(there is none\), got 'tags'"):
        recent.coded("tags")


COUNTED = {"n": {"aggregate": ["count_by", "top_k", "entropy_by"], "k": 3, "by": "tags", "windows": ["1h", "7d"]}}


def test_a_list_has_at_most_so_many_values_nulls_left_out() -> None:
    plan = plan_of(features={"f": {"aggregate": "distinct", "of": "sizes", "cap": 65_535, **WINDOW}})
    full = list(range(MAX_LIST_VALUES))
    assert value_of(plan, record_of(plan, [event(sizes=[*full, None])]), "f_distinct_1h", T0) == MAX_LIST_VALUES
    with pytest.raises(EventError, match="expected sizes to have at most 65535 values, got 65536"):
        row(plan, event(sizes=[*full, 0]))


def test_a_sequence_refuses_a_list_that_is_too_long_as_json_and_a_table_does_not() -> None:
    kept, counted = plan_of(sequences=RECENT), plan_of(features=COUNTED)
    longest = ["x" * (MAX_TEXT_BYTES - len('["",""]') - 1), "y"]
    recent = lists_of(kept, record_of(kept, [event(tags=longest)]))["recent"]
    assert recent["tags"] == [longest]
    longer = [longest[0], "yz"]
    with pytest.raises(EventError, match="expected tags of at most 65535 bytes as JSON, since a sequence keeps it"):
        row(kept, event(tags=longer))
    assert len(batch(counted, [event(tags=longer)])) == 1


def test_an_event_of_as_many_different_values_as_may_be_leaves_a_record_within_its_bound() -> None:
    plan = plan_of(
        features={**COUNTED, "kinds": {"aggregate": ["distinct", "approx_distinct"], "of": "tags", **WINDOW}}
    )
    made = [event(T0 + at * M, tags=[f"{at} {n}" for n in range(MAX_LIST_VALUES)]) for at in range(2)]
    records = record_of(plan, made)
    assert records.size < 20_000
    assert records.size < worst_case(plan, 10).record_bytes
    assert value_of(plan, records, "kinds_distinct_1h", T0 + M) == 1000
    assert value_of(plan, records, "kinds_approx_distinct_1h", T0 + M) == pytest.approx(2 * MAX_LIST_VALUES, rel=0.1)


def as_text(name: str) -> Any:
    """Return the schema of events in which a list was one text."""
    schema = spec_of().schema.original
    fields = [{**f, "type": ["null", "string"]} if f["name"] == name else f for f in schema["fields"]]
    return parse_event_schema({**schema, "fields": fields})


def test_a_text_that_becomes_a_list_goes_on_as_keys_and_values_and_starts_empty_in_a_sequence() -> None:
    parts = {
        "features": {"n": {**KEYED["n"], "aggregate": "count_by"}, "kinds": KEYED["kinds"]},
        "sequences": {"recent": {"fields": ["item_id"], "last": 4}},
    }
    loaded, schema = spec_of(**parts), as_text("tags")
    new = plan_of(**{**parts, "sequences": {"recent": {"fields": ["item_id", "tags"], "last": 4}}})
    sequence = {"recent": loaded.spec.sequences["recent"].model_copy(update={"fields": ["item_id", "tags"]})}
    old = compile_plan(replace(loaded, spec=loaded.spec.model_copy(update={"sequences": sequence}), schema=schema))
    change = spec_change(new, old.layout)
    assert (set(change.keeps), change.starts, change.widens) == ({"n", "kinds", "recent"}, (), ("recent (tags)",))
    texts = [event(T0, item_id="i", tags="a"), event(T0 + S, item_id="j", tags="b")]
    decoder = EventDecoder(old, schema)
    rows = [decoder.row(one, None) for one in texts]
    records = migrated(new, old, from_events(old, Events.from_rows(old, rows)))
    listed = fold_all(new, [[event(T0 + 2 * S, item_id="k", tags=["b", "c"])]])
    assert lists_of(new, listed)["recent"]["tags"] == [["b", "c"]]
    found = lists_of(new, records)
    assert found["n_count_by_1h"] == {"tags": ["a", "b"], "count": [1, 1]}
    assert found["recent"] == {"item_id": ["j", "i"], "tags": [None, None]}
    assert value_of(new, records, "kinds_distinct_1h", T0 + M) == 2


def test_json_of_a_list_is_what_any_language_reads() -> None:
    plan = plan_of(sequences=RECENT)
    values = dict(
        zip([f.name for f in plan.fields], row(plan, event(tags=TEXTS, sizes=WHOLE, ratings=REALS))[4:], strict=True)
    )
    assert values["tags"] == json.dumps(TEXTS, ensure_ascii=False, separators=(",", ":"))
    assert values["sizes"] == json.dumps(WHOLE, separators=(",", ":"))
    assert list(map(str, json.loads(values["ratings"]))) == list(map(str, REALS))


def test_lists_move_to_a_longer_sequence_with_other_fields_beside_them() -> None:
    old = plan_of(sequences=RECENT)
    new = plan_of(sequences={"recent": {"fields": ["sizes", "action", "tags"], "last": 6}})
    made = [event(T0, tags=["a", "b"], sizes=[1, 2]), event(T0 + S, tags=["b"])]
    records = migrated(new, old, record_of(old, made))
    assert lists_of(new, records)["recent"] == {
        "sizes": [None, [1, 2]],
        "action": [None, None],
        "tags": [["b"], ["a", "b"]],
    }
    later = apply(new, records, batch(new, [event(T0 + 2 * S, tags=["b"], sizes=[3])]))
    assert lists_of(new, later)["recent"]["tags"] == [["b"], ["b"], ["a", "b"]]


def test_a_sequence_full_of_the_longest_lists_is_within_its_bound_and_near_it() -> None:
    plan = plan_of(sequences={"recent": {"fields": ["tags"], "last": 8}}, max_record="1MB")
    made = [event(T0 + at * S, tags=[f"{at}" + "x" * (MAX_TEXT_BYTES - len('[""]') - 1)]) for at in range(8)]
    size, bound = record_of(plan, made).size, worst_case(plan).record_bytes
    assert 0.99 * bound < size <= bound


@pytest.mark.parametrize(
    ("field", "values", "text", "sound"),
    [
        ("tags", ["a"], '["b"]', True),
        ("tags", ["a"], "[1,2]", False),
        ("tags", ["a"], '["a,]', False),
        ("tags", ["aaaa"], '["\\ud8"]', False),
        ("sizes", [-5], "[-7]", True),
        ("sizes", [100], "[1.5]", False),
        ("sizes", [100], "[007]", False),
        ("ratings", [1.5], "[2.5]", True),
        ("ratings", [1.5], "[NaN]", False),
        ("ratings", [1.5], "[125]", False),
    ],
)
def test_a_text_that_is_no_list_sets_its_user_aside_whoever_opens_the_record(
    field: str, values: list[Any], text: str, sound: bool
) -> None:
    """The only text of a record is replaced by one of the same length, behind a right checksum."""
    plan = plan_of(sequences={"recent": {"fields": [field], "last": 4}})
    blob = record_of(plan, [event(T0, **{field: values})]).blobs[0]
    sections = sections_of(blob)
    assert sections is not None
    written = json.dumps(values, separators=(",", ":")).encode()
    assert (sections[0][1].count(written), len(written)) == (1, len(text))
    sections[0] = (b"", sections[0][1].replace(written, text.encode()))
    changed = resealed(with_sections(blob, sections))
    finished = Reader(plan, packed(plan)).features([changed, blob], T0 + M)
    assert finished.present.tolist() == [sound, True]
    assert finished.sequences["recent"].of_user(0) == {field: [json.loads(text)] if sound else []}
    _, broken = packed(plan).fold([changed], batch(plan, [event(T0 + S)]), np.zeros(1, np.int64), [VERSION])
    assert bool(broken) != sound
    assert all("a text that is no list, where one has to be" in why for why in finished.errors.values())
