"""What the processes of one run tell each other through Redis, the one place they all reach.

    {name}:run:{run}    hash, forgotten a day after the last word
        stop            exists while the run shall stop
        pause           exists while the run shall read nothing, before a savepoint
        watched         written by the command now and then, to find out whether Redis can be written to
        <process>       that worker process's counters so far, JSON
    {name}:run:{run}:trouble    what hinders a process, in words, for as long as it says so

Counters are for people: what a worker counted in its last half second is missing if it is killed. What is folded is
told by the records, not by these.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from user_state.store.connection import connect, translated
from user_state.store.keys import run_key, run_trouble_key

KEPT_MS = 86_400_000
TROUBLE_MS = 5_000
"""How long a trouble that is not said again is one."""
_STOP = b"stop"
_PAUSE = b"pause"
_WATCHED = b"watched"


class RunBoard:
    """The board of the run `run` of the pipeline `name`; every method raises as `translated` says."""

    def __init__(self, url: str, name: str, run: str, *, timeout_s: float = 5.0) -> None:
        self._url = url
        self._key = run_key(name, run)
        self._trouble_key = run_trouble_key(name, run)
        self._timeout_s = timeout_s

    @cached_property
    def _redis(self) -> Any:
        """The client, made when it is used first: a cluster that is away then is away for that use alone."""
        return connect(self._url, self._timeout_s)

    def ask_to_stop(self) -> None:
        """Ask every process of the run to stop."""
        self._write(_STOP, b"1")

    def is_asked_to_stop(self) -> bool:
        """Return whether the run was asked to stop."""
        with translated(self._url):
            return bool(self._redis.hexists(self._key, _STOP))

    def ask_to_pause(self) -> None:
        """Ask every process of the run to read nothing."""
        self._write(_PAUSE, b"1")

    def is_asked_to_pause(self) -> bool:
        """Return whether the run was asked to pause."""
        with translated(self._url):
            return bool(self._redis.hexists(self._key, _PAUSE))

    def report(self, process: str, counters: Mapping[str, int]) -> None:
        """Say what a process has counted so far."""
        self._write(process.encode(), json.dumps(dict(counters)).encode())

    def counters(self) -> dict[str, int]:
        """Return the counters of all processes together, of those that have ended too."""
        with translated(self._url):
            held = self._redis.hgetall(self._key)
        total: dict[str, int] = {}
        for process, text in held.items():
            if process not in (_STOP, _PAUSE, _WATCHED):
                for name, value in json.loads(text).items():
                    total[name] = total.get(name, 0) + value
        return total

    def has_joined(self) -> bool:
        """Return whether any process has reported, if only that it is there."""
        with translated(self._url):
            held = self._redis.hkeys(self._key)
        return any(process not in (_STOP, _PAUSE, _WATCHED) for process in held)

    def say_watched(self) -> None:
        """Write that the run is watched: raises where Redis can be read and not be written to."""
        with translated(self._url):  # not together, lest the error names a command of a pipeline
            self._redis.hset(self._key, _WATCHED, b"1")
            self._redis.pexpire(self._key, KEPT_MS)

    def say_trouble(self, trouble: str) -> None:
        """Say what hinders a process, for TROUBLE_MS from now."""
        with translated(self._url):
            self._redis.set(self._trouble_key, trouble.encode(), px=TROUBLE_MS)

    def trouble(self) -> str | None:
        """Return what a process said last of all that hinders any, None if nothing does."""
        with translated(self._url):
            said = self._redis.get(self._trouble_key)
        return None if said is None else said.decode()

    def close(self) -> None:
        """Close the connections."""
        if "_redis" in vars(self):
            self._redis.close()

    def _write(self, field: bytes, value: bytes) -> None:
        with translated(self._url):
            pipeline = self._redis.pipeline(transaction=False)
            pipeline.hset(self._key, field, value)
            pipeline.pexpire(self._key, KEPT_MS)
            pipeline.execute()
