"""What hinders this process just now, in words, for whoever watches the run.

Whoever waits for something notes so at each try. Nobody has to say that it is over, though one may: what is not noted
again soon is.
"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

LASTS_S = 15.0
"""How long a trouble that is not noted again is one: longer than the pauses between tries, with the try itself."""


class _Trouble(NamedTuple):
    problem: str
    until_s: float


_LOCK = threading.Lock()
_HEALTH: dict[str, _Trouble] = {}


def hindered(who: str, problem: str, lasts_s: float = LASTS_S) -> None:
    """Note what hinders `who`, for so many seconds from now."""
    with _LOCK:
        _HEALTH.pop(who, None)  # to come last
        _HEALTH[who] = _Trouble(problem, time.monotonic() + lasts_s)


def goes_on(who: str) -> None:
    """Note that nothing hinders `who` any more."""
    with _LOCK:
        _HEALTH.pop(who, None)


def trouble() -> str | None:
    """Return what was noted last of all that hinders, None if nothing does."""
    now_s = time.monotonic()
    with _LOCK:
        return next((one.problem for one in reversed(_HEALTH.values()) if one.until_s >= now_s), None)
