"""The serving client: what ranking services call to read users' state.

One round trip a call, finite timeouts, unknown users get the documented defaults. Values are finished at the moment
of reading, by the same function that makes training sets.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.compile import compile_plan
from user_state.core.layout import Layout
from user_state.core.padding import Padded
from user_state.core.plan import Plan
from user_state.core.reading import features
from user_state.errors import CodecError, InputError, StoreError
from user_state.spec import LoadedSpec, load_spec
from user_state.store.connection import connect, masked, translated
from user_state.store.keys import layouts_key, record_key
from user_state.store.layouts import RecordReader

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
At = int | datetime.datetime | None


@dataclass(frozen=True)
class UserStateBatch:
    """The state of several users at one time.

    Attributes:
        users: whose, in the order asked for.
        names: the columns of `values`.
        values: (users, features) float32.
        present: (users,) whether there is a record.
        as_of_us: the reading time that windows were finished at, microseconds UTC.
        last_event_us: (users,) time of each user's newest event, microseconds UTC; 0 for unknown users.
        arrays: by name: (users, size) float32: features of several numbers, such as histograms.
        sequences: by name: features that are lists, and sequences, padded.
        embeddings: by name: (users, dimensions) float32.
    """

    users: tuple[str, ...]
    names: tuple[str, ...]
    values: npt.NDArray[np.float32]
    present: npt.NDArray[np.bool_]
    as_of_us: int
    last_event_us: npt.NDArray[np.int64]
    arrays: dict[str, npt.NDArray[np.float32]]
    sequences: dict[str, Padded]
    embeddings: dict[str, npt.NDArray[np.float32]]

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, index: int) -> UserState:
        """Return one user's state by position."""
        return UserState(
            user=self.users[index],
            present=bool(self.present[index]),
            as_of_us=self.as_of_us,
            last_event_us=int(self.last_event_us[index]),
            features=dict(zip(self.names, self.values[index].tolist(), strict=True)),
            arrays={name: values[index] for name, values in self.arrays.items()},
            sequences={name: padded.of_user(index) for name, padded in self.sequences.items()},
            embeddings={name: vectors[index] for name, vectors in self.embeddings.items()},
        )


@dataclass(frozen=True)
class UserState:
    """The state of one user at one time.

    Attributes:
        user, present, as_of_us, last_event_us: as in `UserStateBatch`.
        features: name -> value.
        arrays: name -> (size,) float32.
        sequences: name -> a list of values (`last_k`), or a dict of lists by field (sequences, tables).
        embeddings: name -> (dimensions,) float32.
    """

    user: str
    present: bool
    as_of_us: int
    last_event_us: int
    features: dict[str, float]
    arrays: dict[str, npt.NDArray[np.float32]]
    sequences: dict[str, list[Any] | dict[str, list[Any]]]
    embeddings: dict[str, npt.NDArray[np.float32]]


class UserStateClient:
    """Reads users' state. Safe to share between threads; close it, or use it in a `with` block."""

    def __init__(self, redis: Any, plan: Plan, url: str) -> None:
        self._redis = redis
        self._plan = plan
        self._url = url
        self._reader = RecordReader(plan, self)
        self._names = tuple(output.name for output in plan.scalars)

    @classmethod
    def from_url(cls, url: str, spec: str | Path | LoadedSpec, *, timeout_s: float = 1.0) -> UserStateClient:
        """Return a client for the records of `spec` (a path, or loaded) in the Redis at `url`.

        Raises:
            SpecError: the spec cannot be used.
            InputError: the URL is no Redis URL.
            StoreUnavailable, StoreError: a cluster that cannot be reached; a single server is tried at first use.
        """
        loaded = spec if isinstance(spec, LoadedSpec) else load_spec(spec)
        return cls(connect(url, timeout_s), compile_plan(loaded), url)

    def __repr__(self) -> str:
        return f"UserStateClient({masked(self._url)!r}, spec={self._plan.name!r})"

    def __enter__(self) -> UserStateClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    @property
    def names(self) -> tuple[str, ...]:
        """The columns of `UserStateBatch.values`."""
        return self._names

    def get(self, user: str, at: At = None) -> UserState:
        """Return one user's state; see `get_many`."""
        return self.get_many([user], at)[0]

    def get_many(self, users: Sequence[str], at: At = None) -> UserStateBatch:
        """Return the state of several users in one round trip.

        Args:
            users: their ids; unknown ones give the defaults.
            at: when windows end: microseconds UTC, an aware datetime, or now. Right for any time no more than the
                spec's `max_clock_skew` before a user's newest event.

        Raises:
            InputError: `users` is one string, or `at` is a datetime without a time zone.
            StoreUnavailable: Redis did not answer in time.
            StoreError: Redis refused.
            CodecError: a record cannot be read; the message names its key.
        """
        if isinstance(users, str):
            raise InputError(f"expected a sequence of user ids, got the string {users!r}; use get() for one user")
        at_us = _microseconds(at)
        keys = [record_key(self._plan.name, user) for user in users]
        blobs = self._fetch(keys)
        try:
            records = self._reader.decode(blobs)
        except CodecError as exc:
            raise self._naming_the_key(keys, blobs, exc) from exc
        finished = features(self._plan, records, at_us)
        with np.errstate(over="ignore"):  # beyond single precision lies infinity, which is no reason to warn
            values = finished.values.astype(np.float32)
            arrays = {name: numbers.astype(np.float32) for name, numbers in finished.arrays.items()}
        return UserStateBatch(
            users=tuple(users),
            names=self._names,
            values=values,
            present=np.array([blob is not None for blob in blobs], np.bool_),
            as_of_us=at_us,
            last_event_us=records.last_event_us,
            arrays=arrays,
            sequences=finished.sequences,
            embeddings=finished.embeddings,
        )

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return a layout that a pipeline registered, or None."""
        with translated(self._url):
            text = self._redis.hget(layouts_key(self._plan.name), fingerprint.hex())
        return None if text is None else Layout.from_json(text)

    def _fetch(self, keys: list[str]) -> list[bytes | None]:
        if not keys:
            return []
        with translated(self._url):
            # On a cluster the keys lie on many nodes: the client splits them, one round trip a node.
            fetch = getattr(self._redis, "mget_nonatomic", self._redis.mget)
            blobs: list[bytes | None] = fetch(keys)
        return blobs

    def _naming_the_key(self, keys: list[str], blobs: list[bytes | None], cause: CodecError) -> StoreError | CodecError:
        for key, blob in zip(keys, blobs, strict=True):
            try:
                self._reader.decode([blob])
            except CodecError as exc:
                return CodecError(f"{key}: {exc}")
        return cause


def _microseconds(at: At) -> int:
    if at is None:
        return time.time_ns() // 1000
    if isinstance(at, datetime.datetime):
        if at.tzinfo is None:
            raise InputError(f"expected a time with a time zone, got {at.isoformat()}")
        return (at - EPOCH) // datetime.timedelta(microseconds=1)
    return at
