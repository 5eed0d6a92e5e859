"""Damaged bytes are a value or the one error, and cost what they are long; and the fuzzer finds what is neither."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fuzz import memory
from tests.fuzz.envelope import resealed, sections_of, with_sections
from tests.fuzz.rounds import Found, fuzz, input_of
from tests.fuzz.subjects import Subject, subjects
from tests.fuzz.verbs import VERBS, Named

INPUTS = int(os.environ.get("FUZZ_INPUTS", "50000"))
ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_every_input_is_a_value_or_the_one_error_and_costs_what_it_is_long() -> None:
    outcome = fuzz(seed=1, inputs=INPUTS)
    assert not isinstance(outcome, Found), (
        f"input {outcome.input.number} of seed 1, {outcome.input.data.hex()}:\n{outcome.what}"
    )
    for named in VERBS:
        came_to = {what: outcome[f"{named.name}: {what}"] for what in ("value", "refused")}
        assert min(came_to.values()) > 0.01 * sum(came_to.values()), (
            f"{named.name} hardly ever meets one of both: {came_to}"
        )


def _raises(blob: bytes) -> bool:
    if len(blob) % 3 == 0:
        raise KeyError("what nobody documented")
    return True


MUCH = 1 << 30
"""More than what other tests have left free in this process, which an allocator hands out before it asks for more."""


def _takes_memory(blob: bytes) -> bool:
    return bytes(memory.ALLOWED_BYTES + memory.ALLOWED_TIMES * len(blob) + MUCH) != blob


def _takes_native_memory(blob: bytes) -> bool:
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, (ctypes.c_size_t,)
    libc.free.argtypes = (ctypes.c_void_p,)
    taken = libc.malloc(memory.ALLOWED_BYTES + memory.ALLOWED_TIMES * len(blob) + MUCH)
    if taken is None:
        raise MemoryError
    libc.free(taken)
    return True


def _dies(blob: bytes) -> bool:
    if len(blob) % 5 == 0:
        os.kill(os.getpid(), 9)  # a sanitizer takes a signal 11 for its own
    return True


def _hangs(_blob: bytes) -> bool:
    time.sleep(600)
    return True


def _refuses(_blob: bytes) -> bool:
    return False


@pytest.mark.slow
@pytest.mark.parametrize(
    ("verb", "what"),
    [
        (_raises, "KeyError: 'what nobody documented'"),
        pytest.param(
            _takes_memory, "more memory than", marks=pytest.mark.skipif(not memory.measured, reason="no limit")
        ),
        pytest.param(
            _takes_native_memory, "more memory than", marks=pytest.mark.skipif(not memory.measured, reason="no limit")
        ),
        (_dies, "the process ended with -9"),
        (_hangs, "it takes more than 1 s"),
        (_refuses, "though nobody damaged it"),
    ],
)
def test_what_must_not_be_is_found_and_its_input_comes_again(
    verb: Callable[[bytes], bool], what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.fuzz.rounds.HANGS_S", 1.0)
    monkeypatch.setattr("tests.fuzz.rounds.SUBJECTS", 1)
    monkeypatch.setattr("tests.fuzz.rounds.faulthandler.enable", lambda: None)
    broken = (Named("broken", "seen", lambda _subject: _Late(verb), 1),)
    outcome = fuzz(seed=3, inputs=400, verbs=broken)
    assert isinstance(outcome, Found)
    assert what in outcome.what
    _, again = input_of(3, outcome.input.number, broken)
    assert again == outcome.input


class _Late:
    """A verb that behaves when it is first called, as it is before its first input."""

    def __init__(self, verb: Callable[[bytes], bool]) -> None:
        self._verb, self._called = verb, False

    def __call__(self, blob: bytes) -> bool:
        if self._called:
            return self._verb(blob)
        self._called = True
        return True


@pytest.mark.slow
def test_one_input_alone_says_what_it_is_and_what_it_came_to() -> None:
    # Twice in a process of its own: what hypothesis draws depends on which modules are loaded.
    first, second = (
        subprocess.run(
            [sys.executable, "-m", "tests.fuzz", "--seed", "1", "--input", "4711"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for _ in range(2)
    )
    assert first == second
    described, data, _, came_to = first.splitlines()
    told = re.fullmatch(r"input 4711 of seed 1, given to ([a-z_ ]+), (\d+) bytes:", described)
    assert told is not None, described
    assert told[1] in {named.name for named in VERBS}
    assert len(bytes.fromhex(data)) == int(told[2])
    assert came_to in ("value", "refused")


@pytest.mark.slow
def test_subjects_have_everything_that_is_damaged_and_come_again() -> None:
    first, second = (subjects(5, 4) for _ in range(2))
    assert [_bytes(one) for one in first] == [_bytes(one) for one in second]
    for one in first:
        assert all(one.of(named.sort) for named in VERBS)
        assert one.arriving
        blob = max(one.records, key=len)
        found = sections_of(blob)
        assert found is not None
        assert resealed(with_sections(blob, found)) == blob


def _bytes(one: Subject) -> list[list[bytes]]:
    # Versions and what a sketch draws by lot are new each time.
    return [one.layouts, one.bodies, one.seen]
