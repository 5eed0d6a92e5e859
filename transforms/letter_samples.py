"""A few dead letters of this process's run, so that its command can say at the end what was refused, and why.

Bounded: SAMPLES of each reason, each of at most LARGEST bytes; larger ones are left out. Like `transforms.counters` it
is of one process, enough where the steps are threads of the command. On a cluster the letters are where they are
stored.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from transforms.packet import DeadLetter
from user_state.dead_letters.letters import Letter

SAMPLES = 20
LARGEST = 100_000

_LOCK = threading.Lock()
_KEPT: dict[str, list[Letter]] = {}


def keep(letters: Iterable[DeadLetter]) -> None:
    """Keep the first few letters of each reason."""
    with _LOCK:
        for letter in letters:
            held = _KEPT.setdefault(letter.reason, [])
            if len(held) < SAMPLES and len(letter.message.data) <= LARGEST:
                message, now_us = letter.message, time.time_ns() // 1000
                held.append(
                    Letter(
                        message.data,
                        message.attributes,
                        message.publish_us,
                        letter.reason,
                        letter.detail,
                        message.origin,
                        now_us,
                    )
                )


def kept() -> list[Letter]:
    """Return what was kept."""
    with _LOCK:
        return [letter for held in _KEPT.values() for letter in held]


def reset() -> None:
    """Forget them, for the next run in the same process."""
    with _LOCK:
        _KEPT.clear()
