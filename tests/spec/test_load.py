"""How a spec is found, read, and kept."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tests.spec.written import EXAMPLE, HEAD, KINDS_HEAD, KINDS_SCHEMA, VIEWS, feature, message_of
from user_state.errors import SpecError
from user_state.spec import load_spec, parse_spec
from user_state.spec.filters import AllOf, OneOf


def test_the_example_loads() -> None:
    loaded = load_spec(str(EXAMPLE))
    assert loaded.path == EXAMPLE
    assert loaded.spec.name == "feed"
    assert loaded.spec.features["views"].where == AllOf((OneOf("action", ("view",)),))
    assert loaded.spec.features["watch_time"].windows == ["1h", "1d", "7d"]
    assert loaded.schema.fields["event_time"].unit == "us"


def test_a_width_set_under_tiles_allows_a_short_window() -> None:
    assert parse_spec(f"{feature('aggregate: count, windows: 30s')}tiles: {{30s: 1s}}", beside=EXAMPLE.parent)


def test_anchors_and_merge_keys_work_and_own_keys_win() -> None:
    text = f"{HEAD}features:\n  a: &a {{aggregate: count, windows: 1h}}\n  b: {{<<: [*a], windows: 1d}}\n"
    features = parse_spec(text, beside=EXAMPLE.parent).spec.features
    assert (features["b"].aggregate, features["b"].windows) == (["count"], ["1d"])


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    assert "more than 100000 values" in message_of("\n".join(lines))


def test_a_date_is_text() -> None:
    loaded = parse_spec(feature("aggregate: count, windows: 1h, where: {category: 2024-01-01}"), beside=EXAMPLE.parent)
    assert loaded.spec.features["views"].where == AllOf((OneOf("category", ("2024-01-01",)),))


def test_a_missing_file_names_the_nearest_one() -> None:
    with pytest.raises(SpecError, match=r"userstate\.yaml: .*no such file; did you mean `user_state\.yaml`\?"):
        load_spec(EXAMPLE.with_name("userstate.yaml"))


def test_a_directory_names_the_spec_inside() -> None:
    with pytest.raises(SpecError, match=r"a directory; did you mean `.*user_state\.yaml`\?"):
        load_spec(EXAMPLE.parent)


@pytest.mark.parametrize("path", ["a\0b", "x" * 5000, f"{EXAMPLE}/below"])
def test_a_path_that_cannot_be_opened_is_a_spec_error(path: str) -> None:
    with pytest.raises(SpecError, match="expected"):
        load_spec(path)


def test_bytes_that_are_not_utf8_are_reported_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(b"name: feed\ntimezone: \xff\n")
    with pytest.raises(SpecError, match=r"spec\.yaml:2: expected UTF-8 text, got byte 0xff"):
        load_spec(path)


def test_a_schema_beside_the_spec_comes_before_a_bundled_one(tmp_path: Path) -> None:
    (tmp_path / "interaction.avsc").write_text(KINDS_SCHEMA)
    (tmp_path / "spec.yaml").write_text(KINDS_HEAD.replace("kinds.avsc", "interaction.avsc") + VIEWS)
    assert load_spec(tmp_path / "spec.yaml").schema.name == "Kinds"


def test_a_loaded_spec_survives_pickling() -> None:
    loaded = load_spec(EXAMPLE)
    assert pickle.loads(pickle.dumps(loaded)) == loaded


def test_a_decayed_count_is_read_over_half_lives_and_not_over_windows() -> None:
    spec = parse_spec(feature("aggregate: decayed_count, half_life: [1h, 7d]"), beside=EXAMPLE.parent).spec
    assert spec.features["views"].half_life == ["1h", "7d"]
    assert "takes no `windows:`" in message_of(feature("aggregate: decayed_count, half_life: 1h, windows: 1h"))
    assert "takes no `half_life:`" in message_of(feature("aggregate: count, windows: 1h, half_life: 1h"))
    assert "needs `half_life:`" in message_of(feature("aggregate: decayed_count"))
