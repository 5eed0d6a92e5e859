"""What a spec may ask of a field goes by the field's type in the event schema."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.spec.written import KINDS_HEAD, KINDS_SCHEMA, message_of
from user_state.spec import parse_spec

KIND_CASES = {
    "a map in a filter": ("features: {a: {aggregate: count, windows: 1h, where: {extra: x}}}", ["where.extra", "map"]),
    "an array to average": ("features: {a: {aggregate: mean, of: tags, windows: 1h}}", ["a.of", "array"]),
    "an array to remember": ("features: {a: {aggregate: last_k, k: 5, of: tags, windows: 1h}}", ["a.of", "array"]),
    "a map in a sequence": ("sequences: {a: {fields: [extra], last: 5}}", ["a.fields[0]", "map"]),
    "a record in a sequence": ("sequences: {a: {fields: [device], last: 5}}", ["a.fields[0]", "record"]),
    "a text to sum": ("features: {a: {aggregate: sum, of: user, windows: 1h}}", ["numeric", "string"]),
    "a fraction against int": ("features: {a: {aggregate: count, windows: 1h, where: {stars: 1.5}}}", ["whole", "1.5"]),
    "a number against boolean": ("features: {a: {aggregate: count, windows: 1h, where: {paid: 1}}}", ["true or false"]),
    "a misspelt symbol": (
        "features: {a: {aggregate: count, windows: 1h, where: {action: veiw}}}",
        ["one of the values of enum `action`: view, like", "did you mean `view`?"],
    ),
    "a weight for a misspelt symbol": (
        "embeddings: {e: {kind: decayed_mean, of: user, dimensions: 4, half_life: 1h, weights: {liek: 1}}}",
        ["e.weights.liek", "did you mean `like`?"],
    ),
    "a number to weigh by": (
        "embeddings: {e: {kind: decayed_mean, of: user, dimensions: 4, half_life: 1h, weight_field: stars}}",
        ["e.weight_field", "string or enum", "int"],
    ),
}


@pytest.fixture
def kinds_folder(tmp_path: Path) -> Path:
    (tmp_path / "kinds.avsc").write_text(KINDS_SCHEMA)
    return tmp_path


@pytest.mark.parametrize(("text", "fragments"), KIND_CASES.values(), ids=KIND_CASES.keys())
def test_a_field_of_the_wrong_type_is_refused(kinds_folder: Path, text: str, fragments: list[str]) -> None:
    message = message_of(KINDS_HEAD + text, kinds_folder)
    assert message.startswith("spec.yaml:6: ")
    assert len(message.splitlines()) == 1, message
    assert all(fragment in message for fragment in fragments), message


def test_every_usable_type_is_accepted_everywhere_it_fits(kinds_folder: Path) -> None:
    text = f"""{KINDS_HEAD}
features:
  bought:
    aggregate: [sum, mean]
    of: price
    where: {{action: [view, like], stars: [1, 2], price: [1, 2.5], paid: yes, user: "yes"}}
    windows: [1h, lifetime]
sequences:
  recent: {{fields: [user, id, at, action, stars, price, paid], last: 5}}
"""
    loaded = parse_spec(text, beside=kinds_folder)
    assert loaded.spec.features["bought"].where.one_of("paid") == (True,)
    assert loaded.schema.fields["at"].unit == "ms"


def test_weights_need_a_text_field_to_go_by(kinds_folder: Path) -> None:
    schema = KINDS_SCHEMA.replace('"name": "action"', '"name": "verb"')
    (kinds_folder / "kinds.avsc").write_text(schema)
    embedding = "kind: decayed_mean, of: user, dimensions: 4, half_life: 1h"
    assert parse_spec(f"{KINDS_HEAD}embeddings: {{e: {{{embedding}}}}}", beside=kinds_folder)
    message = message_of(f"{KINDS_HEAD}embeddings: {{e: {{{embedding}, weights: {{view: 1}}}}}}", kinds_folder)
    assert "expected `weight_field:`" in message
