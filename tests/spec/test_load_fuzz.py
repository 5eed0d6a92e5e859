"""Any text gives a LoadedSpec or a SpecError, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from user_state.errors import SpecError
from user_state.spec import LoadedSpec, parse_spec

FOLDER = Path(__file__).parents[2] / "examples" / "starter"
EXAMPLE = (FOLDER / "user_state.yaml").read_text(encoding="utf-8")
TOKENS = re.findall(r"\w+|\s+|[^\w\s]", EXAMPLE)

STRANGE = st.sampled_from(
    [
        *(
            "yes",
            "null",
            "~",
            "10",
            "1.5",
            ".nan",
            "-.inf",
            "0x1F",
            "1:30",
            "1e400",
            "9" * 30,
            "9" * 5000,
            "2024-01-01",
        ),
        *(
            "'",
            '"',
            "[",
            "]",
            "{",
            "}",
            ":",
            "- ",
            "? ",
            "|",
            ">",
            "#",
            "\n",
            "\t",
            "  ",
            "---\n",
            "...\n",
            "%YAML 9.9\n",
        ),
        *(
            "&a ",
            "*a",
            "<<: *a",
            "!!int ",
            "!!set ",
            "!x ",
            "=",
            "\x00",
            "\x85",
            "\u2028",
            "\ufeff",
            '"\\0"',
            '"\\ud800"',
        ),
        *(
            "lifetime",
            "last_k",
            "value",
            "event_time",
            "36500d",
            "1s",
            "views",
            "tiles: {1h: 1m}\n",
            "versions: message.avsc",
            "versions: [., 5]",
            "<<: [*a, *b]",
        ),
    ]
)


def outcome(text: str) -> LoadedSpec | None:
    """Return the spec, or None if it was refused with a message each of whose lines names a line of the file."""
    try:
        loaded = parse_spec(text, beside=FOLDER, name="spec.yaml")
    except SpecError as exc:
        message = str(exc)
    else:
        return loaded
    assert all(re.match(r"spec\.yaml:[1-9][0-9]*: .", line) for line in message.split("\n")), message
    return None


def test_the_example_itself_is_accepted() -> None:
    assert outcome(EXAMPLE) is not None
    assert outcome("".join(TOKENS)) is not None


@pytest.mark.slow
@given(st.text())
@example("&a [*a]")
@example("? &a {*a : 1}\n: 2")
@example("<<: &a {<<: *a}")
@example("!!set {a, b}")
@example("!!int ''")
@example("%YAML 1." + "9" * 5000 + "\n--- a")
@example('"\\UFFFFFFFF"')
@example("{" * 3000)
@example("- " * 3000)
@settings(deadline=None)
def test_any_text_is_refused_with_lines(text: str) -> None:
    assert outcome(text) is None


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, len(TOKENS) - 1), st.integers(0, 3), STRANGE), min_size=1, max_size=4))
@settings(max_examples=500, deadline=None)
def test_a_mutated_example_is_accepted_or_refused_with_lines(changes: list[tuple[int, int, str]]) -> None:
    tokens = list(TOKENS)
    for position, deleted, inserted in changes:
        tokens[position : position + deleted] = [inserted]
    outcome("".join(tokens))


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, len(TOKENS) - 1), st.integers(0, len(TOKENS) - 1)), min_size=1, max_size=3))
@settings(max_examples=300, deadline=None)
def test_an_example_with_its_words_swapped_is_accepted_or_refused_with_lines(swaps: list[tuple[int, int]]) -> None:
    tokens = list(TOKENS)
    for first, second in swaps:
        tokens[first], tokens[second] = tokens[second], tokens[first]
    outcome("".join(tokens))
