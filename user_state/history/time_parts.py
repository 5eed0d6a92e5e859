"""A shard that is too large to be sorted in memory, in parts by publish time on disk: each part whole before the next.

Events of one publish time lie in one part, so that sorting each part by itself sorts the shard. A part is larger than
was asked for only where that many events share a publish time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from user_state.history.event_tables import EventTables
from user_state.history.memory import give_back
from user_state.history.shards import Writers, read_shard
from user_state.state.events import I64, Events

PART_BYTES = 256 << 20
"""Of a shard on disk that is sorted in memory."""
MOST_PARTS = 200
"""A file of each is open while they are written."""


class TimeParts:
    """Splits one shard.

    Args:
        folder: where the parts lie meanwhile.
        shard: the number of the shard, for their names.
        kinds: the plan's, for what events have.
    """

    def __init__(self, folder: Path, shard: int, kinds: str) -> None:
        self._folder = folder
        self._name = f"part-of-{shard:05}"
        self._tables = EventTables(kinds)

    def split(self, published_us: I64, count: int, batches: Iterator[Events]) -> Iterator[Events]:
        """Yield the events of the parts, the earliest first.

        Args:
            published_us: publish times of some of the events, in any order.
            count: about how many parts there are to be.
            batches: the events.
        """
        edges = _edges(published_us, min(count, MOST_PARTS))
        number = len(edges) + 1
        with Writers(self._folder, self._name, number) as writers:
            writers.schema = self._tables.schema
            for events in batches:
                part = np.searchsorted(edges, events.published_us, side="right")
                order = np.argsort(part, kind="stable")
                ends = np.searchsorted(part[order], np.arange(number + 1))
                sorted_ = self._tables.table(events.take(order))
                for at in range(number):
                    if ends[at + 1] > ends[at]:
                        writers.write(at, sorted_.slice(ends[at], ends[at + 1] - ends[at]))
        give_back()
        for at in range(number):
            yield self._tables.events(read_shard(self._folder, self._name, at))
            writers.path(at).unlink()
            give_back()


def _edges(published_us: I64, count: int) -> I64:
    """Return the publish times with which all parts but the first begin, ascending, each once."""
    sorted_ = np.sort(published_us)
    places = np.arange(1, count) * len(sorted_) // count
    edges = np.unique(sorted_[places])
    return np.asarray(edges[edges > sorted_[0]], np.int64)
