"""Finding out that a server has lost data: a worker counts its batches there, and compares (beat.lua).

A server that was restarted empty or from an older snapshot, flushed, or failed over to a replica that lagged, counts
fewer batches than it had confirmed.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from user_state.store.keys import beat_key
from user_state.store.script import Script

BEAT_MS = 7 * 86_400_000
"""How long the server remembers a worker that writes nothing."""


class Beat:
    """The number of batches that one worker has written under a name, as it knows it and as the server does.

    Args:
        redis: a client of the server.
        name: of the spec.
    """

    def __init__(self, redis: Any, name: str) -> None:
        self._redis = redis
        self.worker = secrets.token_hex(8)
        """What the worker is called."""
        self.key = beat_key(name, self.worker)
        """Where the server keeps what it has counted."""
        self._script = Script("beat.lua")
        self._sent = self._known = 0
        self._sent_s = time.monotonic()
        self._went_back = False
        self._heard = b""

    @property
    def is_known(self) -> bool:
        """Whether the server has answered the batch that was sent last: what it wrote may be there all the same."""
        return self._known == self._sent

    def add(self, pipeline: Any) -> None:
        """Count the batch that a pipeline is about to send; its answer is for `check`."""
        now_s = time.monotonic()
        if now_s - self._sent_s > BEAT_MS / 2000:
            self._known = 0  # the server may have forgotten it in peace
        self._sent += 1
        self._sent_s = now_s
        self._script.load(self._redis)
        self._script.call(pipeline, [self.key], *self._values())

    def check(self, answer: Any) -> None:
        """Compare what the server had counted with what it had confirmed; raises what redis raises."""
        if isinstance(answer, NoScriptError):
            self._script.forgotten([answer])
            answer = self._script.run(self._redis, [self.key], *self._values())
        if isinstance(answer, RedisError):
            raise answer
        self._known = self._sent
        if answer:
            self._went_back = True
            self._heard = answer

    def take_went_back(self) -> bool:
        """Return whether the server was found to have lost data since the last call."""
        went_back, self._went_back = self._went_back, False
        return went_back

    def _values(self) -> tuple[int | bytes, ...]:
        return self._sent, self._known, BEAT_MS, self._heard
