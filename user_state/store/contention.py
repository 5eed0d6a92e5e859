"""Many writers of one record: how long the slower wait before they try again, and when they ask for the next turn.

Whoever reads, folds and writes fastest wins each race for a record, so a worker far from Redis beside a near one on a
busy user might never win. After TURN_AFTER races lost it asks, in the refused write itself, for the next turn: for a
moment the server takes that user's record from nobody else (replace.lua). A worker that dies with its turn holds the
others up for no longer than that moment.

Waiting follows "full jitter" exponential backoff (Brooker, "Exponential Backoff And Jitter", 2015).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

FIRST_PAUSE_S = 0.002
LONGEST_PAUSE_S = 0.25
TURN_AFTER = 3
SHORTEST_TURN_MS = 50
LONGEST_TURN_MS = 2_000
MOST_TRIES = 40
"""Races lost before a user is left to a later bundle: some seconds."""


class Contention:
    """What one worker does after races lost.

    Args:
        sleep: waits for so many seconds.
        clock: seconds that only grow.
        chance: a number from 0 to 1.
    """

    def __init__(
        self,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._sleep, self._clock, self._chance = sleep, clock, chance
        self._began_s = clock()

    def begin(self) -> None:
        """Note that a try begins."""
        self._began_s = self._clock()

    def pause(self, lost: int, *, busy: bool) -> None:
        """Wait, after so many races lost in a row.

        Args:
            lost: how many.
            busy: the last one because it was another worker's turn; if not, and a turn was asked for, it may be ours.
        """
        if busy or lost <= TURN_AFTER:
            self._sleep(self._chance() * min(FIRST_PAUSE_S * 2.0 ** (lost - 1), LONGEST_PAUSE_S))

    def turn_ms(self, lost: int) -> int:
        """Return how long a turn to ask for, in milliseconds, as this try may be lost too; 0 for none."""
        if lost < TURN_AFTER:
            return 0
        # Reading, folding and writing anew takes as long as it took until now, and the pause before.
        needed_s = 2 * (self._clock() - self._began_s) + 2 * LONGEST_PAUSE_S
        return min(max(round(1000 * needed_s), SHORTEST_TURN_MS), LONGEST_TURN_MS)
