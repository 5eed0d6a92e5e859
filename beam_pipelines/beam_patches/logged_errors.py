"""Errors of ours, which end a run, without the stack trace that Beam logs beside them.

Beam's DirectRunner logs what a DoFn raises, with its stack trace, before it raises it to the caller. An error that this
project raises is the run's last line, and says what to do; any other error is logged as before.

Written for: Beam 2.77.
Replaces: nothing of Beam's; filters the log of `apache_beam.runners.common`.
Issue of Beam's: none filed that we know of.
To drop it: delete this file; a stack trace then stands above the message.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_BEAM = "apache_beam.runners.common"


@contextmanager
def left_out(is_ours: Callable[[BaseException | None], bool]) -> Iterator[None]:
    """Leave what Beam logs out if it is of an error for which `is_ours` returns true."""

    def is_anothers(record: logging.LogRecord) -> bool:
        return not is_ours(record.exc_info[1] if record.exc_info else None)

    log = logging.getLogger(_BEAM)
    log.addFilter(is_anothers)
    try:
        yield
    finally:
        log.removeFilter(is_anothers)
