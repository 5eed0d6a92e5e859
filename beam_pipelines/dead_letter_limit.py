"""Whether a run refused more than it may (`--max_dead_letters`), and what it says of it.

    at the end          the share of all messages read; above the limit the command says why, exits with EXIT_REFUSED
    while it streams    the share of the last WINDOW_S, of at least LEAST_MESSAGES: above the limit that is said, and
                        the run goes on, since every message is kept in the dead letters and can be published again

A run that stored nothing although it read something has refused everything, whatever the limit: events older than
`retention` are in no dead letter, and in no record either.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import typer

from transforms import counters, letter_samples
from transforms.pubsub_check import PUBSUB
from user_state.cli.terminal import Terminal
from user_state.dead_letters.explain import reason_lines, sample_line
from user_state.dead_letters.letters import Letter, read_letters
from user_state.dead_letters.summary import Summary
from user_state.errors import InputError
from user_state.spec import LoadedSpec

EXIT_REFUSED = 1
DEFAULT = "10%"
WINDOW_S = 60.0
LEAST_MESSAGES = 100
AGAIN_S = 600.0
"""How long after it was said it is said again."""
MOST_FILES = 50
MOST_LETTERS = 2000
_PERCENT = re.compile(r"(\d+(?:\.\d+)?|\.\d+) ?%")


def parse_share(text: str) -> float:
    """Return a share such as `1%`, 0 to 1.

    Raises:
        InputError: it is none.

    >>> parse_share("1%"), parse_share("0.5 %"), parse_share("100%")
    (0.01, 0.005, 1.0)
    """
    found = _PERCENT.fullmatch(text.strip())
    if found is None or float(found[1]) > 100:
        raise InputError(f"expected a share from 0% to 100% for --max_dead_letters, such as 1%, got {text!r}")
    return float(found[1]) / 100


def refused_too_much(counts: Mapping[str, int], limit: float) -> bool:
    """Return whether the dead letters are more than the limit, or no message could be stored.

    >>> refused_too_much({"read": 100, "applied": 99, "dead_letter": 1}, 0.01)
    False
    >>> refused_too_much({"read": 100, "applied": 98, "dead_letter": 2}, 0.01)
    True
    >>> refused_too_much({"read": 5, "expired": 5}, 0.1), refused_too_much({"read": 5, "expired": 5}, 1.0)
    (True, False)
    """
    read, dead = counts.get(counters.READ, 0), counts.get(counters.DEAD_LETTER, 0)
    if limit >= 1:
        return False
    return dead > limit * read or 0 < read == dead + counts.get(counters.EXPIRED, 0)


def explanation(
    counts: Mapping[str, int], limit: float, spec: LoadedSpec, letters: Iterable[Letter], target: str
) -> Iterator[str]:
    """Yield why a run ends with EXIT_REFUSED, a line each.

    Args:
        counts: of the run.
        limit: the greatest share of dead letters.
        spec: for hints.
        letters: some of the dead letters.
        target: where all of them are.
    """
    read, dead = counts.get(counters.READ, 0), counts.get(counters.DEAD_LETTER, 0)
    if not dead:
        yield "nothing was stored: every event is older than `retention`"
        return
    share = f"{100 * dead / read:.3g} %" if read else "all"
    applied = counts.get(counters.APPLIED, 0)
    rest = f"; the other events are stored ({applied:,} applied)" if applied else ""
    yield f"refused {dead:,} of {read:,} messages ({share}), more than --max_dead_letters {100 * limit:g}%{rest}"
    prefix = f"{counters.DEAD_LETTER}_"
    by_reason = {name.removeprefix(prefix): number for name, number in counts.items() if name.startswith(prefix)}
    summary = Summary.of(letters)
    if by_reason:
        commonest = max(by_reason, key=lambda reason: by_reason[reason])
        held = summary.reasons.get(commonest)
        yield f"commonest reason: {commonest}, {by_reason[commonest]:,} messages"
        if held is not None:
            yield from itertools.islice(reason_lines(commonest, held, spec, most_details=1), 1, None)
            yield f"  for example: {sample_line(held.samples[0], spec)}"
    where = f"'{target}'" if target.startswith(PUBSUB) else target
    yield f"user-state dead-letters {where} lists all; --max_dead_letters 100% accepts any number"


def stored_since(target: str, since_s: float) -> list[Letter]:
    """Return some letters of a folder that were stored after that Unix time; none if it cannot be read from here."""
    if target.startswith(PUBSUB) or not Path(target).is_dir():
        return []
    newest = sorted(Path(target).glob("*.avro"), reverse=True)[:MOST_FILES]
    found: list[Letter] = []
    for path in newest:
        try:
            if path.stat().st_mtime >= since_s:
                found += itertools.islice(read_letters(str(path)), MOST_LETTERS - len(found))
        except (OSError, InputError):
            continue
    return found


def end(
    console: Terminal, counts: Mapping[str, int], limit: float, spec: LoadedSpec, target: str, since_s: float
) -> None:
    """Print why the run refused too much, and end the command, if it did.

    Args:
        console: where to print.
        counts: of the run.
        limit: the greatest share of dead letters.
        spec: for hints.
        target: where all dead letters are.
        since_s: Unix time at which the run began.

    Raises:
        typer.Exit: it did.
    """
    if not refused_too_much(counts, limit):
        return
    letters = letter_samples.kept() or stored_since(target, since_s)
    for line in explanation(counts, limit, spec, letters, target):
        console.print(line)
    raise typer.Exit(EXIT_REFUSED)


class LimitWatch:
    """Says while a run goes on that it refuses too much; call it as often as you like."""

    def __init__(self, limit: float, now_s: float) -> None:
        self._limit = limit
        self._began_s = now_s
        self._read = self._dead = 0
        self._said_s = float("-inf")

    def look(self, counts: Mapping[str, int], now_s: float) -> str | None:
        """Return what is to be said now, if anything."""
        if now_s - self._began_s < WINDOW_S:
            return None
        read, dead = counts.get(counters.READ, 0), counts.get(counters.DEAD_LETTER, 0)
        of_window, refused = read - self._read, dead - self._dead
        self._began_s, self._read, self._dead = now_s, read, dead
        if of_window < LEAST_MESSAGES or refused <= self._limit * of_window or now_s - self._said_s < AGAIN_S:
            return None
        self._said_s = now_s
        return (
            f"in the last {WINDOW_S:.0f} s {refused:,} of {of_window:,} messages were refused, more than"
            f" --max_dead_letters {100 * self._limit:g}%: user-state dead-letters says why"
        )
