"""Redis as a view of records whose truth lies in a runner's keyed state: written, never read back but to begin with.

Versions tell which of two records knows more. A job that is restored from a checkpoint folds events anew that Redis
already shows; until it has caught up, what it writes is refused, so that features do not go back in time. Hence the
first half of a version is the number of events in the record (`Folder(counts_events=True)`; `replace.lua`'s versions
count writes, of which a record never has more than events, so either kind of pipeline can take over from the other).

    {name}:writer    the run that writes the view, forgotten WRITER_MS after its last word
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from user_state.state.envelope import version_of
from user_state.state.remembered_ids import stored_seen
from user_state.store.connection import connect, masked, translate_response, translated
from user_state.store.keys import record_key, seen_key, writer_key
from user_state.store.registry import SUPERSEDED, UNREGISTERED, Registry
from user_state.store.script import Script
from user_state.store.store import Replacement

WRITER_MS = 60_000


class RedisView:
    """The view of one spec's records in one Redis; every method raises as `translated` says.

    Args:
        url: where.
        name: of the spec.
        timeout_s: longest a call takes.
        registry: says which spec writes; needed to `write`.
    """

    def __init__(self, url: str, name: str, *, timeout_s: float = 10.0, registry: Registry | None = None) -> None:
        self._url = url
        self._where = f"Redis at {masked(url)}"
        self._name = name
        self._redis: Any = connect(url, timeout_s)
        self._registry = registry or Registry(self._redis, url, name)
        self._cluster = urlsplit(url).scheme.endswith("-cluster")
        self._script = Script("view.lua")
        self.restarts = 0
        """How often the server had forgotten our script: it has started again, and may have lost everything else."""

    def __repr__(self) -> str:
        return f"RedisView({masked(self._url)!r}, {self._name!r})"

    def write(self, replacements: Sequence[Replacement]) -> int:
        """Write many users' records; return how many were refused.

        One is refused because Redis holds a record of more events, or under the user's keys something else that nobody
        here has written.

        Raises:
            SpecSuperseded: a newer spec writes.
        """
        answers = self._run(replacements)
        if self._script.forgotten(answers):
            self.restarts += 1
            answers = self._run(replacements)  # writing twice does no harm
        if SUPERSEDED in answers or UNREGISTERED in answers:
            self._registry.restore()
            answers = self._run(replacements)
        foreign = [answer for answer in answers if isinstance(answer, RedisError) and "WRONGTYPE" in str(answer)]
        for answer in answers:
            if isinstance(answer, RedisError) and answer not in foreign:
                raise translate_response(self._where, answer) from answer
            if answer in (SUPERSEDED, UNREGISTERED):
                raise self._registry.superseded(max(self._registry.epoch(), self._registry.claimed.epoch))
        return len(foreign) + answers.count(0)

    def _run(self, replacements: Sequence[Replacement]) -> list[Any]:
        epoch = self._registry.claimed.epoch
        with translated(self._url):
            self._script.load(self._redis)
            pipeline = self._redis.pipeline(transaction=False)
            for r in replacements:
                if r.record is None:
                    continue
                keys = [record_key(self._name, r.user), seen_key(self._name, r.user)]
                keys += [] if self._cluster else [self._registry.key]
                seen = stored_seen(r.seen, version_of(r.record), epoch)
                self._script.call(pipeline, keys, r.record, seen, r.expire_at_ms, epoch)
            return list(pipeline.execute(raise_on_error=False))

    def sign(self, run: str) -> None:
        """Say that `run` writes this view, for WRITER_MS from now on."""
        with translated(self._url):
            self._redis.set(writer_key(self._name), run, px=WRITER_MS)

    def sign_off(self, run: str) -> None:
        """Say that `run` writes no more."""
        with translated(self._url):
            if self._redis.get(writer_key(self._name)) == run.encode():
                self._redis.delete(writer_key(self._name))

    def writer(self) -> str | None:
        """Return the run that writes this view, or None."""
        with translated(self._url):
            found = self._redis.get(writer_key(self._name))
        return None if found is None else found.decode(errors="replace")

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
