"""The process-wide request to stop reading, so that a streaming pipeline runs dry and ends.

A source that sees the request returns without deferring; its watermark goes to the end of time, what was read is
folded, stored and acknowledged, and the run ends in state DONE. Nothing is cut off midway.

`request_drain` is called from signal handlers, so this module must not take a lock: a handler runs on the main thread
between any two instructions, also between those of a lock the main thread already holds, and would wait for itself.
Hence a plain flag and a sleep in slices instead of a `threading.Event`.
"""

from __future__ import annotations

import time

SLICE_S = 0.05
"""How long a waiter may take to notice the request, seconds."""


class _Request:
    made = False
    pause = False


def request_drain() -> None:
    """Ask every source of this process to stop reading; safe in a signal handler, and more than once."""
    _Request.made = True


def draining() -> bool:
    """Return whether a drain was requested."""
    return _Request.made


def wait(seconds: float) -> bool:
    """Sleep for `seconds`, or until a drain is requested; return whether it is."""
    until = time.monotonic() + seconds
    while not _Request.made and (left := until - time.monotonic()) > 0:
        time.sleep(min(left, SLICE_S))
    return _Request.made


def request_pause() -> None:
    """Ask every source of this process to read nothing for now, but not to end: a savepoint is about to be taken."""
    _Request.pause = True


def paused() -> bool:
    """Return whether a pause was requested."""
    return _Request.pause


def reset() -> None:
    """Forget the requests, for the next run in the same process."""
    _Request.made = _Request.pause = False
