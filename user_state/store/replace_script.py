"""Calls of replace.lua: many users a call where one server has them all, one user a call on a cluster.

A call blocks the server while it runs, so it takes no more than USERS_A_CALL users and about BYTES_A_CALL.

Keys of turns (`user_state.store.contention`) are sent where they can matter: on a cluster, by a worker that asks for a
turn, and where the server says that one is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from redis.exceptions import ResponseError

from user_state.state.envelope import version_of
from user_state.state.remembered_ids import stored_seen
from user_state.store.keys import record_and_seen_keys, turn_key
from user_state.store.script import Script
from user_state.store.store import Replacement

USERS_A_CALL = 64
BYTES_A_CALL = 256 << 10
TURN_TAKEN = -4
"""What the script answers for all of a call: keys of turns have to be sent."""


class ReplaceScript:
    """The script, for one worker.

    Args:
        name: of the spec.
        worker: the worker's name.
        registry: the registry's key, None on a cluster.
    """

    def __init__(self, name: str, worker: str, registry: str | None) -> None:
        self._name = name
        self._worker = worker
        self._registry = registry
        self._script = Script("replace.lua")

    def load(self, redis: Any) -> None:
        """Give the server the script, unless it has it for all that is known."""
        self._script.load(redis)

    def add(self, pipeline: Any, replacements: Sequence[Replacement], epoch: int, *, turns: bool) -> list[int]:
        """Add the calls for a batch to a pipeline; return how many users each has.

        Args:
            pipeline: of the server, which has the script.
            replacements: the batch.
            epoch: of the worker's spec.
            turns: whether to send the keys of turns.
        """
        turn_ms = max((one.turn_ms for one in replacements), default=0)
        turns = turns or turn_ms > 0 or self._registry is None
        sizes = []
        for call in self._calls(replacements):
            keys = [] if self._registry is None else [self._registry]
            values: list[Any] = [epoch, self._worker, 3 if turns else 2, turn_ms]
            for one in call:
                keys += record_and_seen_keys(self._name, one.user)
                if turns:
                    keys.append(turn_key(self._name, one.user))
                if one.record is None:
                    values += (one.expected, b"", b"", 0)
                else:
                    seen = stored_seen(one.seen, version_of(one.record), epoch)
                    values += (one.expected, one.record, seen, one.expire_at_ms)
            self._script.call(pipeline, keys, *values)
            sizes.append(len(call))
        return sizes

    def _calls(self, replacements: Sequence[Replacement]) -> Iterator[list[Replacement]]:
        most = 1 if self._registry is None else USERS_A_CALL
        call: list[Replacement] = []
        held = 0
        for one in replacements:
            if call and (len(call) == most or held > BYTES_A_CALL):
                yield call
                call, held = [], 0
            call.append(one)
            held += len(one.record or b"") + len(one.seen)
        if call:
            yield call

    def answers(self, replies: Sequence[Any], sizes: Sequence[int]) -> list[Any]:
        """Return an answer for each user: a number, or an error; one for a call holds for all its users."""
        answers: list[Any] = []
        for reply, size in zip(replies, sizes, strict=True):
            if isinstance(reply, list):
                answers += [ResponseError(one.decode()) if isinstance(one, bytes) else one for one in reply]
            else:
                answers += [reply] * size
        return answers

    def forgotten(self, answers: Sequence[Any]) -> list[int]:
        """Return the users whose call did not run because a restarted server has forgotten the script."""
        return self._script.forgotten(answers)

    def run(self, redis: Any, keys: Sequence[str], epoch: int, values: Sequence[Any]) -> None:
        """Replace what lies under keys of nobody's.

        Raises:
            RedisError: the server refuses.
        """
        registry = [] if self._registry is None else [self._registry]
        answer = self._script.run(redis, [*registry, *keys], epoch, self._worker, 3, 0, *values)
        if isinstance(answer, list) and isinstance(answer[0], bytes):
            raise ResponseError(answer[0].decode())
