"""A request to stop, left in Redis for the worker processes of one run: the store is what they all reach.

    {name}:stop:{run}    exists while the run shall stop; forgotten after a day
"""

from __future__ import annotations

from typing import Any

from user_state.store.connection import connect, translated
from user_state.store.keys import stop_key

KEPT_MS = 86_400_000


class StopRequest:
    """The request to stop the run `run` of the pipeline `name`."""

    def __init__(self, url: str, name: str, run: str, *, timeout_s: float = 5.0) -> None:
        self._url = url
        self._key = stop_key(name, run)
        self._redis: Any = connect(url, timeout_s)

    def make(self) -> None:
        """Ask the run to stop.

        Raises:
            StoreUnavailable, StoreError: as `translated` says.
        """
        with translated(self._url):
            self._redis.set(self._key, b"1", px=KEPT_MS)

    def is_made(self) -> bool:
        """Return whether the run was asked to stop.

        Raises:
            StoreUnavailable, StoreError: as `translated` says.
        """
        with translated(self._url):
            return bool(self._redis.exists(self._key))

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()
