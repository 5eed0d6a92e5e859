"""What a Redis holds of a spec, looked at as a whole: whose records there are, and in which layouts.

For commands, not for serving: it walks the keys of the server (`SCAN`, which blocks nobody).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from user_state.errors import StoreError
from user_state.plan.layout import Layout
from user_state.state.envelope import LAYOUT, MARKER
from user_state.store.connection import connect, masked, translated
from user_state.store.keys import record_pattern, registry_key, user_of_record
from user_state.store.registry import Registry

KEYS_A_STEP = 1_000
RECORDS = 1_000
"""How many records are looked at for their layouts."""
KEYS_AT_A_START = 100_000
"""How many keys are looked at before a run: another's server may have very many."""
UNREADABLE_SHARE = 0.01
"""A start is refused if more of the records than this have a layout that is not registered. Fewer are single users'."""


@dataclass(frozen=True)
class StoredLayouts:
    """The layouts of a spec's records.

    Attributes:
        registered: by fingerprint.
        held: how many of the records that were looked at have each; what is no record of ours has none.
        whole: whether all records were looked at.
    """

    registered: dict[bytes, Layout]
    held: Counter[bytes]
    whole: bool


def stored_users(url: str, name: str, timeout_s: float = 10) -> Iterator[str]:
    """Yield each user that has a record of the spec called `name`, in no order; one may come twice.

    Raises:
        InputError, StoreUnavailable, StoreError: as `connect` and `translated`.
    """
    with closing(connect(url, timeout_s)) as redis, translated(url):
        for key in redis.scan_iter(record_pattern(name), count=KEYS_A_STEP):
            yield user_of_record(name, key.decode("utf-8", "surrogateescape"))


def registered_layouts(url: str, name: str, timeout_s: float = 10) -> dict[bytes, Layout]:
    """Return the layouts that are registered for the spec called `name`, by fingerprint.

    Raises:
        InputError, StoreUnavailable, StoreError: as `connect` and `translated`.
        CodecError: what is registered is no layout.
    """
    with closing(connect(url, timeout_s)) as redis:
        return Registry(redis, url, name).layouts()


def stored_layouts(url: str, name: str, timeout_s: float = 10, *, most_keys: int | None = None) -> StoredLayouts:
    """Return the layouts that are registered for the spec called `name`, and those of some of its records.

    Args:
        url: of the server.
        name: of the spec.
        timeout_s: longest a call takes.
        most_keys: how many keys of the server are looked at; None for as many as it takes.

    Raises:
        InputError, StoreUnavailable, StoreError, CodecError: as `registered_layouts`.
    """
    registered = registered_layouts(url, name, timeout_s)
    with closing(connect(url, timeout_s)) as redis, translated(url):
        found = _record_keys(redis, name, most_keys)
        keys = list(islice(found, RECORDS))
        pipeline = redis.pipeline(transaction=False)
        for key in keys:
            pipeline.getrange(key, 0, LAYOUT.stop - 1)
        held: Counter[bytes] = Counter(
            head[LAYOUT]
            for head in pipeline.execute(raise_on_error=False)  # a key may hold something else, which has no bytes
            if isinstance(head, bytes) and head.startswith(MARKER) and len(head) == LAYOUT.stop
        )
        whole = next(found, None) is None
    return StoredLayouts(registered, held, whole)


def check_readable(url: str, name: str, own: bytes, timeout_s: float = 10) -> StoredLayouts:
    """Find out whether a spec can read the records that are there; return their layouts.

    Args:
        url: of the server.
        name: of the spec.
        own: the fingerprint of the spec's layout.
        timeout_s: longest a call takes.

    Raises:
        InputError, StoreUnavailable, CodecError: as `registered_layouts`.
        StoreError: as well if their layout is not registered.
    """
    found = stored_layouts(url, name, timeout_s, most_keys=KEYS_AT_A_START)
    unreadable = {one: number for one, number in found.held.items() if one != own and one not in found.registered}
    if sum(unreadable.values()) > UNREADABLE_SHARE * found.held.total():
        number = sum(unreadable.values())
        raise StoreError(
            f"{number:,} of {found.held.total():,} records of {name} in Redis at {masked(url)} have a layout that is"
            f" not registered there ({', '.join(sorted(one.hex() for one in unreadable))}), so this spec cannot read"
            f" them: the hash {registry_key(name)} was lost. Register the spec that wrote them again, with `user-state"
            " rollback --spec EARLIER`, and then this one; or delete the records"
        )
    return found


def _record_keys(redis: Any, name: str, most_keys: int | None) -> Iterator[bytes]:
    """Yield keys of records; all of them, or those among so many keys."""
    if most_keys is None:
        yield from redis.scan_iter(record_pattern(name), count=KEYS_A_STEP)
        return
    begin, end = (part.encode() for part in record_pattern(name).split("*"))
    for key in islice(redis.scan_iter(count=KEYS_A_STEP), most_keys):
        if key.startswith(begin) and key.endswith(end):
            yield key
