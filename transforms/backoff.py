"""Waiting for what takes in data and is unavailable: the bundle waits, acknowledging nothing, so nothing is lost.

A store that refuses the password in mid-run is waited for as well: `run` has found out before that it takes it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TypeVar

from transforms import counters
from transforms.drain import draining, wait
from transforms.health import hindered
from user_state.errors import StoreUnavailable
from user_state.printable import printable

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0
GIVE_UP_S = 20.0
"""How long a draining pipeline still waits for an unavailable store."""

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class Backoff:
    """Waits while the store is unavailable; gives up once the pipeline drains and the store stays away.

    Args:
        counts: the counter of tries that failed.
    """

    def __init__(self, counts: str = counters.UNAVAILABLE) -> None:
        self._counts = counts
        self._pause_s = FIRST_PAUSE_S
        self._draining_since: float | None = None
        self._said: type[StoreUnavailable] | None = None

    def __call__(self, problem: StoreUnavailable) -> None:
        """Wait a while, longer each time.

        Raises:
            StoreUnavailable: the pipeline drains, and has waited for GIVE_UP_S.
        """
        counters.count(self._counts)
        hindered(self._counts, str(problem))
        if type(problem) is not self._said:
            _LOG.warning("waiting, nothing is lost: %s", printable(str(problem)))
            self._said = type(problem)
        if draining():
            now = time.monotonic()
            self._draining_since = self._draining_since or now
            if now - self._draining_since > GIVE_UP_S:
                raise problem
            time.sleep(self._pause_s)
        else:
            wait(self._pause_s)
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def for_store(self, action: Callable[[], None]) -> None:
        """Do something that needs the store, waiting as long as it takes."""
        self.to_get(action)

    def to_get(self, action: Callable[[], T]) -> T:
        """Return what needs the store to be had, waiting as long as it takes."""
        while True:
            try:
                return action()
            except StoreUnavailable as problem:
                self(problem)
