"""A bundle's cells of keyed state as the store that a fold reads from and writes to (`user_state.store.store`).

Beam gives a state handle for one key at a time; a fold wants many users at once, since its cost a batch is large and
its cost an event small. The handles stay good until the bundle ends, so they are gathered, and written when the bundle
finishes: the Python harness commits state after `finish_bundle`, on every runner that it works for.

A user without a cell begins with what Redis holds, if anything: that is how records are taken over from a pipeline
that kept them in Redis, or from a run whose state is gone. It becomes the user's cell whether or not an event is new:
a job that goes back to a checkpoint finds in Redis what it has shown since, and is handed the same events again. They
are acknowledged as known, so what knows them must be in the next checkpoint, or it would be lost with Redis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from user_state.plan.layout import Layout
from user_state.state.runner_state import Cell, decode_cell, encode_cell
from user_state.store.redis_store import RedisStateStore
from user_state.store.registry import Writer
from user_state.store.store import Answer, Replaced, Replacement, Stored


class CellSpec(ReadModifyWriteStateSpec):
    """A cell that is read some time after its handle was made, at the bundle's end.

    Where workers can (`beam_pipelines.beam_patches`), they ask the runner for it as the handle is made: all answers
    come together, where each read alone waits for its own.
    """

    ask_ahead = True


class _Held:
    """A user's handle, what it holds, and when the user's timer fires."""

    def __init__(self, handle: Any) -> None:
        blob = handle.read()
        self.handle = handle
        self.cell: Cell | None = None if blob is None else decode_cell(blob)
        self.seed: Stored | None = None
        self.look_at_ms = 0 if self.cell is None else self.cell.look_at_ms


class BundleCells:
    """The cells of one bundle's users.

    Args:
        redis: where users without a cell begin, and the spec and its layouts are registered.
    """

    def __init__(self, redis: RedisStateStore) -> None:
        self._redis = redis
        self._held: dict[str, _Held] = {}
        self._unread: dict[str, tuple[Any, Any]] = {}
        self._written: dict[str, Replacement] = {}

    def start_bundle(self) -> None:
        """Forget the handles of the bundle before."""
        self._held = {}
        self._unread = {}
        self._written = {}

    def hold(self, user: str, handle: Any, timer: Any) -> None:
        """Hold a user's handle and timer, to be read by `take_unread`."""
        self._unread.setdefault(user, (handle, timer))

    def take_unread(self) -> Iterator[tuple[str, Any, int]]:
        """Read the handles that were held since the last call.

        Yields:
            Each one's user, timer, and when that fires, milliseconds UTC, 0 for never.
        """
        unread, self._unread = self._unread, {}
        for user, (handle, timer) in unread.items():
            yield user, timer, self._hold(user, handle).look_at_ms

    def cell(self, user: str, handle: Any) -> Cell | None:
        """Hold a user's handle; return what it holds now."""
        return self._hold(user, handle).cell

    def will_look(self, user: str, look_at_ms: int) -> None:
        """Note when the timer of a held user fires; it is written with the cell."""
        self._held[user].look_at_ms = look_at_ms

    def refresh(self, user: str) -> None:
        """Write a held user's cell anew, for the time of its timer, and have the view written too."""
        held = self._held[user]
        if held.cell is not None:
            cell = held.cell
            self._write(held, cell.record, Replacement(user, b"", cell.record, cell.seen, cell.expire_at_ms))

    def clear(self, user: str) -> None:
        """Forget a held user for good."""
        held = self._held[user]
        held.handle.clear()
        held.cell, held.look_at_ms = None, 0

    def take_written(self) -> list[Replacement]:
        """Return what has been written since the last call, the last of each user."""
        written, self._written = list(self._written.values()), {}
        return written

    def read(self, users: Sequence[str]) -> list[Stored]:
        """See `StateStore.read`; the users are held."""
        missing = [user for user in users if self._held[user].cell is None and self._held[user].seed is None]
        if missing:
            for user, stored in zip(missing, self._redis.read(missing), strict=True):
                self._held[user].seed = stored._replace(elsewhere=stored.record is not None)
        return [self._stored(self._held[user]) for user in users]

    def replace(self, replacements: Sequence[Replacement]) -> Replaced:
        """See `StateStore.replace`; a key is worked on by one bundle at a time, so nobody else is ever faster.

        The runner's checkpoints are what is durable.
        """
        for replacement in replacements:
            if replacement.record is not None:
                self._write(self._held[replacement.user], replacement.record, replacement)
        return Replaced([Answer.DONE] * len(replacements))

    def claim(self, writer: Writer) -> None:
        """See `StateStore.claim`: of the view, and of the layouts that it is read by."""
        self._redis.claim(writer)

    def layout(self, fingerprint: bytes) -> Layout | None:
        """See `StateStore.layout`."""
        return self._redis.layout(fingerprint)

    def _hold(self, user: str, handle: Any) -> _Held:
        held = self._held.get(user)
        if held is None:
            held = self._held[user] = _Held(handle)
        return held

    def _write(self, held: _Held, record: bytes, replacement: Replacement) -> None:
        held.cell = Cell(held.look_at_ms, replacement.expire_at_ms, record, replacement.seen)
        held.handle.write(encode_cell(held.cell))
        self._written[replacement.user] = replacement

    @staticmethod
    def _stored(held: _Held) -> Stored:
        if held.cell is None:
            return held.seed or Stored(None, None)
        return Stored(held.cell.record, held.cell.seen)
