"""Generations: records of one spec that lie beside each other, of which one is served.

A backfill makes a generation of its own while another one is served; `serve` then changes which. Clients that were not
told a generation look at `serving` now and then, and follow.

    {name}:generations    serving              the generation that is served, `base` for the records of none; not there:
                                               nobody ever said
                          generation:{name}    what is known of one, as JSON (`Generation`)

Everything lies in one hash, so that it is lost together.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields, replace
from itertools import islice
from typing import Any

from user_state.errors import InputError, StoreError
from user_state.generation_name import BASE, keyspace
from user_state.store.connection import connect, masked, translated
from user_state.store.keys import generations_key, key_patterns, registry_key

SERVING = "serving"
_ONE = "generation:"
KEYS_A_STEP = 500


@dataclass(frozen=True)
class Generation:
    """What is known of a generation; times in microseconds UTC.

    Attributes:
        name: of it.
        definition: of the spec that began it, hex.
        began_us: when it was begun.
        ended_us: when its backfill had read all; None while it has not, or if there was none.
        events: how many events the backfill applied.
        job: which backfill fills it, or has filled it; empty if none that goes on after it was killed.
        until_us: the backfill has the events published before then, microseconds UTC; None: all that its files had.
        latest_us: the latest publish time among the events of the backfill, microseconds UTC; None if there was none.
        is_history: whether the backfill folded events in order of publishing, and forgot users as history does.
    """

    name: str
    definition: str
    began_us: int
    ended_us: int | None = None
    events: int = 0
    job: str = ""
    until_us: int | None = None
    latest_us: int | None = None
    is_history: bool = False

    @property
    def is_complete(self) -> bool:
        """Return whether its backfill came to its end."""
        return self.ended_us is not None


class Generations:
    """The generations of the spec called `name`; every method raises StoreUnavailable or StoreError as `translated`."""

    def __init__(self, url: str, name: str, *, timeout_s: float = 10.0) -> None:
        self._url, self._name = url, name
        self._key = generations_key(name)
        self._redis: Any = connect(url, timeout_s)

    def __enter__(self) -> Generations:
        return self

    def __exit__(self, *_: object) -> None:
        self._redis.close()

    def serving(self) -> str | None:
        """Return the generation that is served, BASE for the records of none; None: nobody ever said."""
        with translated(self._url):
            return served_generation(self._redis, self._name)

    def listed(self) -> list[Generation]:
        """Return what is known of each, the oldest first.

        Raises:
            StoreError: as above; what is known was written by a release that knows more.
        """
        with translated(self._url):
            held = self._redis.hgetall(self._key)
        found = [_parsed(value, self._url) for field, value in held.items() if field.startswith(_ONE.encode())]
        return sorted(found, key=lambda one: (one.began_us, one.name))

    def find(self, name: str) -> Generation | None:
        """Return what is known of one, None if there is none of this name."""
        return next((one for one in self.listed() if one.name == name), None)

    def put(self, one: Generation) -> None:
        """Note what is known of a generation."""
        with translated(self._url):
            self._redis.hset(self._key, _ONE + one.name, json.dumps(asdict(one)))

    def end(self, name: str, events: int, now_us: int, latest_us: int | None = None) -> None:
        """Note that the backfill of a generation has read all; `latest_us` is as in `Generation`."""
        one = self.find(name)
        if one is not None:
            self.put(replace(one, ended_us=now_us, events=events, latest_us=latest_us))

    def serve(self, name: str) -> str:
        """Have clients read a generation, BASE for the records of none; return what they read before."""
        with translated(self._url):
            before = served_generation(self._redis, self._name) or BASE
            self._redis.hset(self._key, SERVING, name)
        return before

    def drop(self, name: str, each: Callable[[int], None] = lambda _: None) -> int:
        """Delete all keys of a generation, then what is known of it; return how many keys.

        Raises:
            InputError: it is served.
        """
        if self.serving() == name:
            raise InputError(
                f"expected a generation that is not served, got {name}: `generation use` another one first"
            )
        deleted = 0
        with translated(self._url):
            found = self._keys_of(keyspace(self._name, name))
            while keys := list(islice(found, KEYS_A_STEP)):
                pipeline = self._redis.pipeline(transaction=False)
                for key in keys:
                    pipeline.delete(key)
                gone = sum(pipeline.execute())
                deleted += gone
                each(gone)
            self._redis.hdel(self._key, _ONE + name)
        return deleted

    def _keys_of(self, keyspace: str) -> Iterator[bytes]:
        for pattern in key_patterns(keyspace):
            yield from self._redis.scan_iter(pattern, count=KEYS_A_STEP)


def served_generation(redis: Any, name: str) -> str | None:
    """Return the generation of a spec's records that is served, BASE for the records of none; None: nobody ever said.

    Args:
        redis: a client of redis-py's, whose errors go through.
        name: of the spec.
    """
    served = redis.hget(generations_key(name), SERVING)
    return None if served is None else str(served.decode())


def written_generation(redis: Any, name: str, generation: str | None) -> str:
    """Return what a generation is called, after a look whether anybody has written it; the records of none need not be.

    Args:
        redis: a client of redis-py's, whose errors go through.
        name: of the spec.
        generation: which; None: the records of none.

    Raises:
        InputError: nobody has.
    """
    if generation is not None and not redis.exists(registry_key(keyspace(name, generation))):
        raise InputError(
            f"expected a generation of {name} that has been written, got {generation}: `user-state generation list` has"
            " those that there are"
        )
    return generation or BASE


def generation_to_read(url: str, name: str, named: str | None, timeout_s: float = 5.0) -> str:
    """Return the generation to read of a spec's records: the one that somebody names, or else the one that is served.

    Raises:
        InputError, StoreUnavailable, StoreError: as `connect` and `translated`.
    """
    if named is not None:
        return named
    with Generations(url, name, timeout_s=timeout_s) as generations:
        return generations.serving() or BASE


def refuse_unread(url: str, name: str, timeout_s: float = 5.0) -> None:
    """Refuse to write the records of no generation, of the spec called `name`, while another generation is served.

    Raises:
        InputError: it is.
        StoreUnavailable, StoreError: as `translated`.
    """
    served = generation_to_read(url, name, None, timeout_s)
    if served != BASE:
        raise InputError(
            f"expected --generation, since {served} is the generation of {name} that is served: --generation {served}"
            f" to write it, --generation {BASE} to write the records of none, which no client reads now"
        )


def refuse_unfinished(url: str, name: str, generation: str, timeout_s: float = 5.0) -> None:
    """Refuse to write a generation that a backfill has not finished, of the spec called `name`.

    Raises:
        InputError: it has not.
        StoreUnavailable, StoreError: as `translated`.
    """
    with Generations(url, name, timeout_s=timeout_s) as generations:
        one = generations.find(generation)
    if one is not None and not one.is_complete:
        raise InputError(
            f"expected a generation that is complete, got {generation}, whose backfill has not come to its end: let it"
            " finish first, so that the stream goes on from its records"
        )


def _parsed(value: bytes, url: str) -> Generation:
    known = {field.name for field in fields(Generation)}
    try:
        told = json.loads(value)
        return Generation(**{name: told[name] for name in told if name in known})
    except (ValueError, TypeError) as exc:
        raise StoreError(f"expected what a generation is in Redis at {masked(url)}, got something else") from exc
