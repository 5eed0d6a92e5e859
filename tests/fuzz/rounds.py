"""Inputs by number: what each is, and what the verbs make of them, in a process of its own that may die or hang.

Input i of seed s belongs to round i // ROUND, whose subjects are drawn by seed and round; the input itself is drawn by
seed and number alone. So any of them comes again by itself.
"""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import multiprocessing
import os
import random
import struct
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tests.fuzz import memory
from tests.fuzz.mutations import mutated, mutated_record
from tests.fuzz.subjects import Subject, subjects
from tests.fuzz.verbs import VERBS, Named, Verb

ROUND = 4_000
"""Inputs of one set of subjects."""
SUBJECTS = 8
HANGS_S = 60.0
"""No input takes as long, not even under a sanitizer on a busy machine."""
PREPARES_S = 600.0
"""Nor does drawing a round's subjects."""
SOUND_SHARE = 0.02
"""So many inputs are left as they were written: a verb that refuses those is broken, or the fuzzer is."""


@dataclass(frozen=True)
class Input:
    """One input: which verb is given which bytes."""

    number: int
    verb: str
    subject: int
    data: bytes
    sound: bool


@dataclass(frozen=True)
class Found:
    """What must not be: the input, and what it came to."""

    input: Input
    what: str


class Round:
    """The inputs of one round."""

    def __init__(self, seed: int, number: int, verbs: Sequence[Named] = VERBS) -> None:
        self._seed, self._verbs = seed, verbs
        self.subjects = subjects(seed * 1_000_003 + number, SUBJECTS)
        self._made: dict[tuple[str, int], Verb] = {}

    def input(self, number: int) -> Input:
        """Return an input of this round."""
        rng = random.Random(f"{self._seed} {number}")
        (named,) = rng.choices(self._verbs, [one.weight for one in self._verbs])
        at = rng.randrange(len(self.subjects))
        blobs = self.subjects[at].of(named.sort)
        blob = rng.choice(blobs)
        if rng.random() < SOUND_SHARE:
            return Input(number, named.name, at, blob, sound=True)
        others = blobs if rng.random() < 0.8 else rng.choice(self.subjects).of(named.sort)
        data = (mutated_record if named.sort == "records" else mutated)(rng, blob, others)
        return Input(number, named.name, at, data, sound=False)

    def run(self, one: Input) -> str:
        """Return `value` or `refused`, or what must not be."""
        verb = self._verb(one)
        try:
            with memory.no_more_than(len(one.data)):
                taken = verb(one.data)
        except MemoryError:
            allowed = f"{memory.ALLOWED_BYTES:,} bytes and {memory.ALLOWED_TIMES} times its {len(one.data)}"
            return f"it asks for more memory than {allowed}\n{traceback.format_exc()}"
        except Exception:
            return traceback.format_exc()
        if one.sound and not taken:
            return "it is refused, though nobody damaged it"
        return "value" if taken else "refused"

    def _verb(self, one: Input) -> Verb:
        found = self._made.get((one.verb, one.subject))
        if found is None:
            (named,) = (named for named in self._verbs if named.name == one.verb)
            found = self._made[one.verb, one.subject] = named.make(self.subjects[one.subject])
            # What a verb prepares when it is first used is not the input's.
            with contextlib.suppress(Exception):
                found(self.subjects[one.subject].of(named.sort)[0])
        return found


def fuzz(
    seed: int, inputs: int, verbs: Sequence[Named] = VERBS, progress: Callable[[int], None] = lambda _: None
) -> Counter[str] | Found:
    """Give so many inputs to the verbs; return what they came to, or the first finding."""
    came_to: Counter[str] = Counter()
    for number in range(-(-inputs // ROUND)):
        last = min(inputs, (number + 1) * ROUND)
        outcome = _in_a_process(seed, number, range(number * ROUND, last), verbs)
        if isinstance(outcome, Found):
            return outcome
        came_to += outcome
        progress(last)
    return came_to


def input_of(seed: int, number: int, verbs: Sequence[Named] = VERBS) -> tuple[Subject, Input]:
    """Return one input again, and the subject that it is of."""
    round_ = Round(seed, number // ROUND, verbs)
    one = round_.input(number)
    return round_.subjects[one.subject], one


def _in_a_process(seed: int, number: int, chosen: range, verbs: Sequence[Named]) -> Counter[str] | Found:
    # Where the child is, for when it cannot say so any more.
    at = mmap.mmap(-1, 8)
    at[:8] = struct.pack("<q", -1)
    reader, writer = multiprocessing.get_context("fork").Pipe(duplex=False)
    pid = os.fork()
    if pid == 0:
        _child(seed, number, chosen, verbs, at, writer)
    writer.close()
    began_s, where = time.monotonic(), -2
    while not reader.poll(0.5):
        now = struct.unpack("<q", at[:8])[0]
        if now != where:
            began_s, where = time.monotonic(), now
        elif time.monotonic() - began_s > (HANGS_S if now >= 0 else PREPARES_S):
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            return _gone(seed, number, where, verbs, f"it takes more than {HANGS_S:.0f} s")
    try:
        outcome: Counter[str] | Found = reader.recv()
    except EOFError:
        _, status = os.waitpid(pid, 0)
        where = struct.unpack("<q", at[:8])[0]
        code = os.waitstatus_to_exitcode(status)
        return _gone(seed, number, where, verbs, f"the process ended with {code} (negative: the signal)")
    os.waitpid(pid, 0)
    return outcome


def _gone(seed: int, number: int, where: int, verbs: Sequence[Named], what: str) -> Found:
    if where < 0:
        raise RuntimeError(f"before the first input of round {number} of seed {seed}: {what}")
    return Found(Round(seed, number, verbs).input(where), what)


def _child(seed: int, number: int, chosen: range, verbs: Sequence[Named], at: mmap.mmap, writer: object) -> None:
    status = 1
    try:
        faulthandler.enable()
        memory.prepare()
        writer.send(_run(Round(seed, number, verbs), chosen, at))  # type: ignore[attr-defined]
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _run(round_: Round, chosen: range, at: mmap.mmap) -> Counter[str] | Found:
    came_to: Counter[str] = Counter()
    for one in _inputs(round_, chosen, at):
        what = round_.run(one)
        if what not in ("value", "refused"):
            return Found(one, what)
        came_to[f"{one.verb}: {what}"] += 1
    return came_to


def _inputs(round_: Round, chosen: range, at: mmap.mmap) -> Iterator[Input]:
    for number in chosen:
        at[:8] = struct.pack("<q", number)
        yield round_.input(number)
