"""A field that is a list goes where the docs say that lists go, and is refused by name everywhere else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from user_state.errors import SpecError
from user_state.spec import parse_spec
from user_state.spec.aggregations import AGGREGATIONS

LIST = {"type": "array", "items": "string"}
FIELDS = {
    "id": "string",
    "who": "string",
    "at": {"type": "long", "logicalType": "timestamp-micros"},
    "word": "string",
    "price": "double",
    "tags": LIST,
    "more": LIST,
    "numbers": {"type": "array", "items": "double"},
}
NEEDS: dict[str, dict[str, Any]] = {
    "k": {"k": 3},
    "edges": {"edges": [1, 2]},
    "gap": {"gap": "30m"},
    "quantiles": {"quantiles": 0.5},
    "by": {"by": "word"},
    "measure": {"measure": "sum"},
}

EXTRA = {"top_k": ["k", "measure"]}


@pytest.fixture
def check(tmp_path: Path) -> Any:
    """Return what is wrong with a spec of these parts, or None."""
    schema = {"type": "record", "name": "Act", "fields": [{"name": n, "type": t} for n, t in FIELDS.items()]}
    (tmp_path / "act.avsc").write_text(json.dumps(schema))

    def wrong(parts: dict[str, Any], **roles: str) -> str | None:
        return mistakes(tmp_path, parts, **roles)

    return wrong


def mistakes(beside: Path, parts: dict[str, Any], **roles: str) -> str | None:
    """Return what is wrong with a spec of these parts, or None."""
    events = {"schema": "act.avsc", "user": "who", "id": "id", "time": "at", **roles}
    times = {"allowed_lateness": "1d", "max_clock_skew": "5m", "retention": "90d"}
    try:
        parse_spec(yaml.safe_dump({"name": "acts", "events": events, **times, **parts}), beside=beside)
    except SpecError as exc:
        return str(exc)
    return None


def feature(name: str, **given: Any) -> dict[str, Any]:
    return {"features": {"f": {"aggregate": name, "windows": "7d", **given}}}


@pytest.mark.parametrize("field", ["tags", "numbers"])
@pytest.mark.parametrize("aggregate", sorted(set(AGGREGATIONS) - {"ratio", "distinct", "approx_distinct"}))
def test_no_other_aggregation_is_of_a_list(check: Any, aggregate: str, field: str) -> None:
    known = AGGREGATIONS[aggregate]
    over = {known.over: "7d"}
    given = {name: value for need in (*known.needs, *EXTRA.get(aggregate, ())) for name, value in NEEDS[need].items()}
    wrong = check({"features": {"f": {"aggregate": aggregate, **over, **given, "of": field}}})
    assert wrong is not None
    assert f"for {aggregate}, got `{field}`, whose Avro type is array of" in wrong
    plain = "word" if "string" in known.of else "price"
    assert check({"features": {"f": {"aggregate": aggregate, **over, **given, "of": plain}}}) is None


@pytest.mark.parametrize(
    ("parts", "roles"),
    [
        (feature("last_k", k=3, of="word", **{"with": "tags"}), {}),
        (feature("sum_by", by="tags", of="numbers"), {}),
        (feature("count_by", by="word", of="tags"), {}),
        (feature("", aggregate=["distinct", "count"], of="tags"), {}),
        (feature("", aggregate=["approx_distinct", "last_k"], k=2, of="tags"), {}),
        (feature("count_by", by="numbers"), {}),
        (feature("ratio", numerator={"aggregate": "sum", "of": "numbers"}, denominator={"aggregate": "count"}), {}),
        (feature("count", where={"tags": "a"}), {}),
        (feature("count", where={"tags": {"not": "a"}}), {}),
        (feature("count", where={"numbers": {">": 3}}), {}),
        ({"embeddings": {"e": {"kind": "decayed_mean", "of": "tags", "dimensions": 4, "half_life": "1d"}}}, {}),
        ({"embeddings": {"e": {"kind": "recent_items", "of": "tags", "half_life": "1d"}}}, {}),
        (feature("count"), {"user": "tags"}),
        (feature("count"), {"id": "tags"}),
        (feature("count"), {"time": "tags"}),
    ],
)
def test_a_list_is_refused_where_one_value_is_wanted(check: Any, parts: Any, roles: dict[str, str]) -> None:
    assert "whose Avro type is array of" in (check(parts, **roles) or "")


@pytest.mark.parametrize(
    "parts",
    [
        feature("count_by", by="tags"),
        feature("sum_by", by=["tags", "word"], of="price"),
        feature("count", where={"tags": {"contains": "a"}}),
        feature("count", where={"tags": {"not": {"contains": ["a", "b"]}}, "numbers": {"contains": 1.5}}),
        feature("count", where={"more": {"exists": False}}),
        feature("distinct", of="tags"),
        feature("approx_distinct", of="numbers"),
        {"sequences": {"s": {"fields": ["word", "tags", "numbers"], "last": 3}}},
        feature("distinct", of="tags", aggregate=["distinct", "approx_distinct"]),
    ],
)
def test_a_list_is_taken_as_keys_by_contains_and_exists_and_by_what_counts_different_values(
    check: Any, parts: Any
) -> None:
    assert check(parts) is None


def test_two_lists_are_no_key(check: Any) -> None:
    assert "expected one array at most among the key fields, got tags, more" in check(
        feature("count_by", by=["tags", "more"])
    )


def test_lists_of_one_array_stand_side_by_side_or_are_refused(tmp_path: Path) -> None:
    def item(price: Any) -> dict[str, Any]:
        fields = [{"name": "sku", "type": "int"}, {"name": "price", "type": price}]
        return {"type": "array", "items": {"type": "record", "name": "Item", "fields": fields}}

    def wrong(price: Any, *listed: str) -> str | None:
        fields = [{"name": n, "type": t} for n, t in {**FIELDS, "items": item(price)}.items()]
        (tmp_path / "act.avsc").write_text(json.dumps({"type": "record", "name": "Act", "fields": fields}))
        return mistakes(tmp_path, {"sequences": {"s": {"fields": list(listed), "last": 3}}})

    assert wrong("double", "items.sku", "tags", "items.price") is None
    assert wrong(["null", "double"], "items.price", "tags", "more") is None
    said = wrong(["null", "double"], "items.sku", "items.price") or ""
    assert re.match(r"<spec>:\d+: sequences\.s\.fields\[1\]: ", said)
    assert "side by side, got items.sku and items.price" in said
