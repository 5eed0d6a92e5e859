"""What filters say, and what a number in them means: the field's own type."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.spec.written import KINDS_HEAD, KINDS_SCHEMA, message_of
from tests.trying import plan_of, spec_of
from user_state.spec import parse_spec
from user_state.spec.filters import AllOf, AnyOf, Compares, Exists, Not, OneOf, read_filter

SAME = [
    ({"action": "view"}, {"action": {"is": ["view"]}}),
    ({"action": ["view", "like"]}, {"action": ["like", "view", "like"]}),
    ({"not": {"action": "view"}}, {"action": {"not": "view"}}),
    ({"value": {">": 1, "<": 2}}, {"all": [{"value": {"<": 2}}, {"value": {">": 1}}]}),
    ({"any": [{"action": "view"}, {"value": 1.0}]}, {"any": [{"value": 1.0}, {"all": [{"action": "view"}]}]}),
    ({"value": {"exists": False}}, {"not": {"value": {"exists": True}}}),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_filters_that_say_the_same_in_another_order_share_their_state(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    count = {"aggregate": "count", "windows": ["1h"]}
    plan = plan_of(features={"one": {**count, "where": one}, "other": {**count, "where": other}})
    assert len(plan.tracks) == len(plan.filters) == 1


@pytest.mark.parametrize("where", [where for pair in SAME for where in pair])
def test_the_text_of_a_filter_is_a_filter_that_says_the_same(where: dict[str, Any]) -> None:
    read, errors = read_filter(where)
    again, _ = read_filter(json.loads(read.text()))
    assert (errors, again.text()) == ([], read.text())


def test_the_text_of_values_by_field_is_as_it_always_was() -> None:
    read, _ = read_filter({"surface": "home", "action": ["view", "like"]})
    assert read.text() == '{"action": ["like", "view"], "surface": ["home"]}'


def test_a_filter_is_a_tree() -> None:
    read, errors = read_filter({"any": [{"a": {">=": 5, "not": [7, 8]}}, {"not": {"b": {"exists": True}, "c": "x"}}]})
    assert errors == []
    assert read == AllOf(
        (
            AnyOf(
                (
                    AllOf((Compares("a", ">=", 5), Not(OneOf("a", (7, 8))))),
                    Not(AllOf((Exists("b"), OneOf("c", ("x",))))),
                )
            ),
        )
    )
    assert read.fields == ("a", "b", "c")


def test_a_field_may_be_called_as_a_word_of_filters(tmp_path: Path) -> None:
    (tmp_path / "kinds.avsc").write_text(KINDS_SCHEMA.replace('"name": "stars"', '"name": "any"'))
    text = f"{KINDS_HEAD}features: {{a: {{aggregate: count, windows: 1h, where: {{any: [1, 2]}}}}}}"
    assert parse_spec(text, beside=tmp_path).spec.features["a"].where.one_of("any") == (1, 2)


def test_a_number_beside_a_float_is_the_nearest_float() -> None:
    spec = spec_of(features={"f": {"aggregate": "count", "windows": "1h", "where": {"stars": [0.1, 0.5, 16_777_217]}}})
    (tenth, half, large) = spec.spec.features["f"].where.one_of("stars") or ()
    # 0.1 as four bytes, 3dcccccd, is 13421773 / 2^27
    assert (tenth, half, large) == (13_421_773 / 2**27, 0.5, 16_777_216.0)
    spec = spec_of(features={"f": {"aggregate": "count", "windows": "1h", "where": {"value": [0.1, 2**53 + 1]}}})
    assert spec.spec.features["f"].where.one_of("value") == (0.1, 2.0**53)


def test_a_number_beside_a_long_is_exact() -> None:
    where = {"amount": [2**53 + 1, 1e3, 2**63 - 1]}
    values = spec_of(features={"f": {"aggregate": "count", "windows": "1h", "where": where}}).spec.features["f"].where
    assert repr(values.one_of("amount")) == f"({2**53 + 1}, 1000, {2**63 - 1})"


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("price: 1.0e+39", "expected a number that field `price` can have, whose Avro type is float"),
        ("stars: 1.0e+19", "expected a number that field `stars` can have"),
        ("stars: {'<': 1.0e+19}", "expected a number that field `stars` can have"),
        ("stars: 2147483648", "expected a number that field `stars` can have, whose Avro type is int"),
        ("stars: 0.5", "expected a whole number for field `stars`"),
    ],
)
def test_a_number_that_the_field_cannot_have_is_refused(tmp_path: Path, where: str, why: str) -> None:
    (tmp_path / "kinds.avsc").write_text(KINDS_SCHEMA)
    assert why in message_of(
        f"{KINDS_HEAD}features: {{a: {{aggregate: count, windows: 1h, where: {{{where}}}}}}}", tmp_path
    )


def test_edges_that_the_field_cannot_tell_apart_are_refused() -> None:
    edges: dict[str, Any] = {"aggregate": "histogram", "windows": "1h", "edges": [0.1, 0.100000001]}
    assert spec_of(features={"f": {**edges, "of": "value"}})
    with pytest.raises(Exception, match="expected edges that differ as numbers of field `stars`"):
        spec_of(features={"f": {**edges, "of": "stars"}})


def test_texts_that_look_like_operators_can_be_said_to_be_meant() -> None:
    where = {"item_id": {"is": ["!= US", "a, b"]}}
    spec = spec_of(features={"f": {"aggregate": "count", "windows": "1h", "where": where}})
    assert spec.spec.features["f"].where.one_of("item_id") == ("!= US", "a, b")


@pytest.mark.parametrize("text", ["<unknown>", "R&B", "rock'n'roll", "a>b", "->", "50%", "C#", "4*", "a - b"])
def test_texts_that_only_have_signs_in_them_are_texts(text: str) -> None:
    assert spec_of(features={"f": {"aggregate": "count", "windows": "1h", "where": {"item_id": text}}})
