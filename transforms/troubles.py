"""What hinders this process just now, in words, for whoever watches the run.

Whoever waits for something notes so at each try. Nobody has to say that it is over: what is not noted again is.
"""

from __future__ import annotations

import threading
import time

LASTS_S = 15.0
"""How long a trouble that is not noted again is one: longer than the pauses between tries, with the try itself."""

_LOCK = threading.Lock()
_UNTIL_S: dict[str, float] = {}


def hindered(problem: str, lasts_s: float = LASTS_S) -> None:
    """Note what hinders this process, for so many seconds from now."""
    now_s = time.monotonic()
    with _LOCK:
        for over in [text for text, until_s in _UNTIL_S.items() if until_s < now_s]:
            del _UNTIL_S[over]
        _UNTIL_S.pop(problem, None)  # to come last
        _UNTIL_S[problem] = now_s + lasts_s


def trouble() -> str | None:
    """Return what was noted last of all that hinders, None if nothing does."""
    now_s = time.monotonic()
    with _LOCK:
        return next((text for text, until_s in reversed(_UNTIL_S.items()) if until_s >= now_s), None)
