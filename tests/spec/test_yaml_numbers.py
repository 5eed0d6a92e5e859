"""Numbers in a spec are what people mean by them: those of YAML 1.2, and never octal or base 60 by surprise.

After reports of PyYAML's readers, who met 0123 as 83, 1:30 as 90, and 1e3 as a text (yaml/pyyaml#107, #173).
"""

from __future__ import annotations

import math

import pytest

from user_state.spec.yaml_document import read_yaml


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("0123", 123),
        ("-010", -10),
        ("+7", 7),
        ("0o17", 15),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("9223372036854775807", 2**63 - 1),
        ("1e3", 1000.0),
        ("1E-3", 0.001),
        ("-2.5e+3", -2500.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1_000.5", 1000.5),
        (".inf", math.inf),
        ("-.INF", -math.inf),
    ],
)
def test_a_number_is_read_as_yaml_1_2_has_it(written: str, expected: float) -> None:
    value = read_yaml(f"a: {written}").value["a"]
    assert (type(value), value) == (type(expected), expected)


@pytest.mark.parametrize("written", ["1:30", "12:30:45", "1:30.5", "1e", "e3", "1.2.3", "+", ".", "0o8", "0x", "1-2"])
def test_what_is_no_number_there_is_text(written: str) -> None:
    assert read_yaml(f"a: {written}").value["a"] == written


def test_a_number_that_is_not_one_is_no_number_either() -> None:
    assert math.isnan(read_yaml("a: .nan").value["a"])
