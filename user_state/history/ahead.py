"""Takes from an iterator in a thread of its own, a few elements ahead of who uses them.

Reading and decoding let go of the interpreter most of the time, so that what was read before is worked on meanwhile.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Queue
from typing import TypeVar

T = TypeVar("T")
ELEMENTS = 1
"""How many wait, beside the one that is being made and the one that is used: bounds memory."""


@contextmanager
def ahead(source: Iterator[T]) -> Iterator[Iterator[T]]:
    """Give what an iterator gives, in its order; what it raises is raised where it would have been.

    Once the block is left, nothing more is taken from the iterator, and its thread has ended.
    """
    waiting: Queue[tuple[T] | BaseException | None] = Queue(ELEMENTS)
    stopped = threading.Event()

    def take() -> None:
        end: BaseException | None = None
        try:
            for element in source:
                waiting.put((element,))
                if stopped.is_set():
                    break
        except BaseException as exc:  # for the other thread to raise
            end = exc
        waiting.put(end)

    def given() -> Iterator[T]:
        while isinstance(one := waiting.get(), tuple):
            yield one[0]
        if one is not None:
            raise one

    thread = threading.Thread(target=take, name="history-ahead", daemon=True)
    thread.start()
    try:
        yield given()
    finally:
        stopped.set()
        while thread.is_alive():
            _drain(waiting)
            thread.join(0.01)


def _drain(waiting: Queue[T]) -> None:
    while not waiting.empty():
        waiting.get_nowait()
