"""What a Redis holds of a spec, looked at as a whole: whose records there are, and in which layouts.

For commands, not for serving: it walks the keys of the server (`SCAN`, which blocks nobody).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from user_state.codec.record import LAYOUT
from user_state.core.layout import Layout
from user_state.store.connection import connect, translated
from user_state.store.keys import record_pattern, user_of_record
from user_state.store.registry import Registry

KEYS_A_STEP = 1_000
RECORDS = 1_000
"""How many records are looked at for their layouts."""


@dataclass(frozen=True)
class StoredLayouts:
    """The layouts of a spec's records.

    Attributes:
        registered: by fingerprint.
        held: how many of the records that were looked at have each.
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


def stored_layouts(url: str, name: str, timeout_s: float = 10) -> StoredLayouts:
    """Return the layouts that are registered for the spec called `name`, and those of some of its records.

    Raises:
        InputError, StoreUnavailable, StoreError, CodecError: as `registered_layouts`.
    """
    registered = registered_layouts(url, name, timeout_s)
    with closing(connect(url, timeout_s)) as redis, translated(url):
        found = redis.scan_iter(record_pattern(name), count=KEYS_A_STEP)
        keys = list(islice(found, RECORDS))
        pipeline = redis.pipeline(transaction=False)
        for key in keys:
            pipeline.getrange(key, LAYOUT.start, LAYOUT.stop - 1)
        held: Counter[bytes] = Counter(fingerprint for fingerprint in pipeline.execute() if fingerprint)
        whole = next(found, None) is None
    return StoredLayouts(registered, held, whole)
