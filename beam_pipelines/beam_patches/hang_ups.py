"""What a Beam worker says when its TaskManager hangs up: one line, or nothing where the end was asked for.

Flink closes a worker's streams in no fixed order, at the end of a job as when a TaskManager dies. If the data stream
goes before the control stream, Beam's threads take it for a failure of theirs, and each of them prints a stack trace:
the one that reads, and the one that closes what it read. Nothing is wrong then; what was in flight comes again.

Written for: Beam 2.77.
Replaces: nothing of Beam's; filters the log of `apache_beam.runners.worker.data_plane`, and `threading.excepthook`.
Issue of Beam's: none filed that we know of.
To drop it: delete this file; workers then print a stack trace for each thread when a job ends.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import grpc  # type: ignore[import-untyped]

from beam_pipelines.flink.checks import brief
from transforms import drain

_BEAM_DATA = "apache_beam.runners.worker.data_plane"
_LOG = logging.getLogger(__name__)


def put_in_place() -> None:
    """From now on say in one line that a TaskManager hung up, in this process; whatever else fails is said as before.

    For good, and not for the length of a `with` block: Beam's threads may outlive the job. Once is enough, twice is
    harmless.
    """
    logging.getLogger(_BEAM_DATA).addFilter(_in_one_line)
    hook = threading.excepthook
    if not isinstance(hook, _ThreadHook):
        threading.excepthook = _ThreadHook(hook)


class _ThreadHook:
    """A `threading.excepthook` for hang-ups, in front of the one that was there."""

    def __init__(self, others: Callable[[threading.ExceptHookArgs], object]) -> None:
        self._others = others

    def __call__(self, args: threading.ExceptHookArgs) -> None:
        if not isinstance(args.exc_value, grpc.RpcError):
            self._others(args)
        elif not drain.draining():
            _LOG.warning("%s", _hung_up(args.exc_value))


def _in_one_line(record: logging.LogRecord) -> bool:
    """Filter a record of Beam's: return whether to keep it, shortened if it tells of a hang-up."""
    error = record.exc_info[1] if record.exc_info else None
    if not isinstance(error, grpc.RpcError):
        return True
    record.levelno, record.levelname = logging.WARNING, "WARNING"
    record.msg, record.args = _hung_up(error), ()
    record.exc_info = record.exc_text = None
    return not drain.draining()


def _hung_up(error: Exception) -> str:
    return f"the TaskManager hung up: {brief(error)}"
