"""Holds processes to some of the machine's cores for a while (Linux).

What a second slot is worth cannot be seen where a first one has two cores: TaskManager, worker, source and store are
processes that run side by side, and one slot of them fills more than one core. In production a slot comes with its
core, so here it can come with one as well.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def held_to(cores: int, pids: Sequence[int]) -> Iterator[None]:
    """Hold processes, and what they start meanwhile, to so many cores for the length of a `with` block.

    Args:
        cores: how many; no fewer than there are leaves everything as it is.
        pids: the processes. Children that live are to be named too.
    """
    every = sorted(os.sched_getaffinity(0))
    if cores >= len(every):
        yield
        return
    _hold(pids, every[:cores])
    try:
        yield
    finally:
        _hold(pids, every)


def _hold(pids: Iterable[int], cores: Sequence[int]) -> None:
    """Set the cores of every thread; one that starts meanwhile has its parent's, hence twice."""
    for pid in [*pids] * 2:
        with suppress(OSError):  # has ended
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with suppress(OSError):
                    os.sched_setaffinity(int(thread.name), cores)
