"""A drain requested from another process: workers of a cluster look for the request in Redis, one thread a process.

`transforms.drain` is a flag of this process, which a signal handler sets where source and handler share one. On a
cluster the command runs elsewhere; it leaves the request in Redis, the one place that it and every worker reach.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from transforms.drain import draining, request_drain
from user_state.errors import StoreError
from user_state.store.stop_request import StopRequest

INTERVAL_S = 0.5
_LOG = logging.getLogger(__name__)
_WATCHED: set[DrainSource] = set()
_LOCK = threading.Lock()


@dataclass(frozen=True)
class DrainSource:
    """Where the request to drain a run is left; pickles, so that a DoFn can carry it to its worker.

    Attributes:
        redis: URL.
        name: the spec's name.
        run: an id of this run alone.
    """

    redis: str
    name: str
    run: str

    def request(self) -> None:
        """Leave the request.

        Raises:
            StoreUnavailable, StoreError: Redis did not take it.
        """
        stop = StopRequest(self.redis, self.name, self.run)
        try:
            stop.make()
        finally:
            stop.close()

    def watch(self) -> None:
        """Watch for the request in this process, from one thread however often this is called."""
        with _LOCK:
            if self in _WATCHED:
                return
            _WATCHED.add(self)
        threading.Thread(target=self._watch, name="drain-watch", daemon=True).start()

    def _watch(self) -> None:
        stop = StopRequest(self.redis, self.name, self.run)
        while not draining():
            try:
                if stop.is_made():
                    request_drain()
            except StoreError as exc:  # the fold says so, and waits
                _LOG.debug("cannot look for a request to drain: %s", exc)
            time.sleep(INTERVAL_S)
        stop.close()


def watch(source: DrainSource | None) -> None:
    """Watch `source`, if there is one."""
    if source is not None:
        source.watch()
