"""Dead letters counted: by reason, by why in detail, and over time; a few of each reason are kept as samples.

What is kept is bounded, however many letters there are: MOST_DETAILS wordings a reason, SAMPLES letters a reason, and a
count a minute, put together into as few steps as are shown. Details that differ in numbers alone count as one wording.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from user_state.dead_letters.letters import Letter
from user_state.durations import SECOND_US

MOST_DETAILS = 1000
SAMPLES = 20
STEPS_S = (60, 300, 900, 3600, 10_800, 21_600, 86_400, 604_800, 2_592_000)
"""Lengths of what is counted over time, seconds."""
OTHER = "others"
_NUMBER = re.compile(r"(?<!\w)\d+(?!\w)")


@dataclass
class OfReason:
    """What is known of one reason.

    Attributes:
        number: how many letters.
        details: how often each wording was given, numbers left out; those that come late are `others` if there are
            too many.
        wordings: the first detail of each wording, as it was given.
        samples: the first few letters.
        by_minute: minute since 1970 when they were refused -> how many.
        first_us, last_us: when the first and the last were refused, microseconds UTC; None if that is not known.
    """

    number: int = 0
    details: Counter[str] = field(default_factory=Counter)
    wordings: dict[str, str] = field(default_factory=dict)
    samples: list[Letter] = field(default_factory=list)
    by_minute: Counter[int] = field(default_factory=Counter)
    first_us: int | None = None
    last_us: int | None = None

    def add(self, letter: Letter) -> None:
        """Count a letter."""
        self.number += 1
        wording = _NUMBER.sub("N", letter.detail)
        if wording not in self.details and len(self.details) >= MOST_DETAILS:
            wording = OTHER
        self.details[wording] += 1
        self.wordings.setdefault(wording, OTHER if wording == OTHER else letter.detail)
        if len(self.samples) < SAMPLES:
            self.samples.append(letter)
        if letter.dead_us is not None:
            self.by_minute[letter.dead_us // (60 * SECOND_US)] += 1
            self.first_us = letter.dead_us if self.first_us is None else min(self.first_us, letter.dead_us)
            self.last_us = letter.dead_us if self.last_us is None else max(self.last_us, letter.dead_us)


@dataclass
class Summary:
    """All reasons, the commonest first."""

    reasons: dict[str, OfReason] = field(default_factory=dict)
    number: int = 0

    @classmethod
    def of(cls, letters: Iterable[Letter]) -> Summary:
        """Return what these letters come to."""
        summary = cls()
        for letter in letters:
            summary.number += 1
            summary.reasons.setdefault(letter.reason, OfReason()).add(letter)
        ordered = sorted(summary.reasons.items(), key=lambda item: (-item[1].number, item[0]))
        summary.reasons = dict(ordered)
        return summary

    def over_time(self, most_steps: int = 12) -> tuple[int, dict[int, Counter[str]]]:
        """Return (length of a step in seconds, Unix time of each step that has letters -> reason -> how many).

        The steps are the shortest of STEPS_S of which `most_steps` cover all letters, the longest if none do.
        """
        minutes = sorted({minute for held in self.reasons.values() for minute in held.by_minute})
        if not minutes:
            return STEPS_S[0], {}
        span_s = 60 * (minutes[-1] - minutes[0] + 1)
        step_s = next((step for step in STEPS_S if step * (most_steps - 1) >= span_s), STEPS_S[-1])
        found: dict[int, Counter[str]] = {}
        for reason, held in self.reasons.items():
            for minute, number in held.by_minute.items():
                found.setdefault(60 * minute // step_s * step_s, Counter())[reason] += number
        return step_s, dict(sorted(found.items()))
