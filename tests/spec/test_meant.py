"""A wrong word or value is met with what was probably meant: misspelt, or called otherwise in other systems."""

from __future__ import annotations

import pytest

from tests.spec.written import HEAD, VIEWS, feature, message_of
from user_state.spec.aggregations import AGGREGATIONS
from user_state.spec.embedding import Embedding
from user_state.spec.hints import AGGREGATIONS_ELSEWHERE, KEYS_ELSEWHERE, duration_meant, key_meant, share_meant
from user_state.spec.model import Events, Feature, Part, Prior, Sequence, Spec

RATIO = "aggregate: ratio, windows: 1h, denominator: {aggregate: count}, numerator: "
SEQUENCE = f"{HEAD}sequences: {{recent: {{fields: [item_id], last: 5, "
MEANT = {
    "a cross": ("aggregate: cross, by: [action, surface], windows: 7d", "did you mean `count_by` with two fields"),
    "an average": ("aggregate: avg, of: value, windows: 7d", "'avg'; did you mean `mean`?; choose one of count, sum"),
    "a sketch by its name": ("aggregate: hll, of: item_id, windows: 7d", "did you mean `approx_distinct`?"),
    "percentiles": ("aggregate: percentiles, of: value, windows: 7d", "did you mean `approx_quantiles` with"),
    "sessions": ("aggregate: sessions, gap: 30m, windows: 7d", "did you mean `session_count`, `session_length_mean`"),
    "a key of a table called of": (
        "aggregate: count_by, of: creator, windows: 7d",
        "a list of up to 3; `of:` names no key",
    ),
    "several fields as one": ("aggregate: count_by, of: [creator, action], windows: 7d", "`by:` counts by several"),
    "a grouping": ("aggregate: count_by, group_by: creator, windows: 7d", "unknown key; did you mean `by`?"),
    "a filter": ("aggregate: count, filter: {action: view}, windows: 7d", "did you mean `where`?"),
    "bins": ("aggregate: histogram, of: value, bins: [1], windows: 7d", "did you mean `edges`?"),
    "an edge that is text": (
        "aggregate: histogram, of: value, edges: [a], windows: 7d",
        "edges[0]: expected a number, got",
    ),
    "a percentage": (
        "aggregate: approx_quantiles, of: value, quantiles: [0.5, 95], windows: 7d",
        "views.quantiles[1]: expected a number from 0 to 1, got 95; 95 % is 0.95",
    ),
    "an error in per cent": ("aggregate: approx_distinct, of: item_id, error: 1%, windows: 7d", "; 1 % is 0.01"),
    "weeks": ("aggregate: count, windows: 2w", "'2w'; did you mean `14d`?"),
    "a gap in words": ("aggregate: session_count, gap: 30 minutes, windows: 7d", "'30 minutes'; did you mean `30m`?"),
    "a gap without a unit": (
        "aggregate: session_count, gap: 30, windows: 7d",
        "a number needs a unit, such as 30s or 30m",
    ),
    "a half-life of nothing": ("aggregate: decayed_count, half_life: 0h", "above 0 and at most 36500d, or a list"),
    "the last text": ("aggregate: last, of: item_id, windows: 7d", "`last_k` lists values of any type"),
    "a comparison": (
        "aggregate: count, where: {value: '> 3'}, windows: 7d",
        """got '> 3'; write `{">": 3}`""",
    ),
    "a default of a table": (
        "aggregate: count_by, by: creator, default: 0, windows: 7d",
        "views.default: aggregate count_by",
    ),
    "a default of a profile": (
        "aggregate: hour_of_day, half_life: 7d, default: 0",
        "takes no `default:`; without events",
    ),
    "a field beside itself": (
        "aggregate: last_k, of: item_id, with: item_id, k: 3, windows: 7d",
        "views.with: expected fields beside `of`, got item_id, which `of` names",
    ),
    "more listed than are kept by default": (
        "aggregate: count_by, by: creator, k: 100, windows: 7d",
        "views.k: expected `k:` of at most `keys:`, 64 by default, got 100",
    ),
    "a part of a ratio by name": (f"{RATIO} likes", "numerator: expected an aggregation such as {aggregate: count}"),
    "a distinct count in a ratio": (
        f"{RATIO} {{aggregate: distinct, of: item_id}}",
        "'distinct'; choose one of count, sum",
    ),
    "a prior without weight": (
        f"{RATIO} {{aggregate: count}}, prior: {{rate: 0.1, strength: 2}}",
        "did you mean `weight`?",
    ),
}


@pytest.mark.parametrize(("body", "said"), MEANT.values(), ids=MEANT)
def test_a_feature_says_what_was_meant(body: str, said: str) -> None:
    message = message_of(feature(body))
    assert message.startswith("spec.yaml:7: features.views")
    assert said in message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"{SEQUENCE} max_age: 7d}}}}\n", "recent.max_age: unknown key; did you mean `within`?"),
        (f"{SEQUENCE} within: lifetime}}}}\n", "got 'lifetime'; leave it out for no limit"),
        (f"{SEQUENCE} k: 7}}}}\n", "recent.k: unknown key; did you mean `last`?"),
        (f"{HEAD}timezone: Europe/Berln\n{VIEWS}", "'Europe/Berln'; did you mean `Europe/Berlin`?"),
        (f"{HEAD}features: {{Views: {{aggregate: count, windows: 1h}}}}", "got 'Views'; did you mean `views`?"),
        (f"{HEAD}embeddings: {{e: {{kind: decayed_mean, of: item_id, dim: 8, half_life: 1h}}}}", "mean `dimensions`?"),
        (f"{HEAD}sequence: {{}}\n{VIEWS}", "did you mean `sequences`?"),
    ],
)
def test_the_rest_of_a_spec_says_what_was_meant(text: str, said: str) -> None:
    message = message_of(text)
    assert message.startswith("spec.yaml:6: ")
    assert said in message


def test_the_line_is_that_of_the_key_that_does_not_fit() -> None:
    text = f"{HEAD}features:\n  views:\n    aggregate: count\n    windows: 7d\n    keys: 5\n"
    assert message_of(text).startswith("spec.yaml:10: features.views.keys: aggregate count takes no `keys:`")


def test_a_key_that_cannot_be_read_is_one_mistake() -> None:
    message = message_of(f"{HEAD}features: {{7: {{aggregate: count, windows: 7d}}}}\n")
    assert message.startswith("spec.yaml:6: features: expected text as a key, got 7, which YAML reads as a number;")
    assert len(message.splitlines()) == 1


def test_no_name_from_elsewhere_is_a_name_here_and_every_one_leads_to_one() -> None:
    assert not AGGREGATIONS_ELSEWHERE.keys() & AGGREGATIONS.keys()
    for meant in AGGREGATIONS_ELSEWHERE.values():
        assert meant.split("`")[1] in AGGREGATIONS
    keys = {
        field.alias or name
        for model in (Spec, Events, Feature, Part, Prior, Sequence, Embedding)
        for name, field in model.model_fields.items()
    }
    assert set(KEYS_ELSEWHERE.values()) <= keys


@pytest.mark.parametrize("value", ["soon", "0h", "7 parsecs", True, None, -5, ["7d"], "999999999d"])
def test_what_resembles_no_duration_is_met_with_nothing(value: object) -> None:
    assert duration_meant(value) == ""


@pytest.mark.parametrize("value", ["half", 2.0**70, True, None, -5, 0.5, "0.5", float("nan")])
def test_what_resembles_no_percentage_is_met_with_nothing(value: object) -> None:
    assert share_meant(value) == ""


def test_a_name_from_elsewhere_is_not_forced_upon_a_mapping_that_has_no_such_key() -> None:
    assert (key_meant("windows", ["fields", "last"]), key_meant("lsat", ["fields", "last"])) == (None, "last")
