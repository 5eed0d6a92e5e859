"""What jobs over history share: what names a job, whether it is the same, and shards in threads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from user_state.errors import InputError
from user_state.events.stored_files import facts_of
from user_state.history.shards import MOST_SHARDS

Progress = Callable[[str, int | None], AbstractContextManager[Callable[[int], object]]]
"""Called with what is done and how often; gives a function that is told of each."""


def described(path: str) -> dict[str, Any]:
    """Return what names a file and what is in it, as long as nobody sets its time of change.

    Raises:
        InputError: there is none.
    """
    found = facts_of(path)
    return {"path": path, "bytes": found.size, "changed_ns": found.changed_ns}


def check_same(found: Mapping[str, Any], what: Mapping[str, Any], folder: Path) -> None:
    """Refuse a folder of another job.

    Args:
        found: what names the folder's job.
        what: what names this one.
        folder: for the message.

    Raises:
        InputError: they differ.
    """
    for key, value in what.items():
        if found.get(key) != value:
            raise InputError(
                f"expected an empty folder, or one of the same job, got {folder}, whose job has another {key}:"
                f" {_difference(found.get(key), value)}"
            )


def check_shards(shards: int | None, workers: int) -> None:
    """Raise InputError unless there may be so many."""
    if shards is not None and not 1 <= shards <= MOST_SHARDS:
        raise InputError(f"expected 1 to {MOST_SHARDS} shards, got {shards}")
    if workers < 1:
        raise InputError(f"expected 1 worker or more, got {workers}")


def boot() -> str:
    """Return what names the time since the machine was started; empty where nothing tells."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("utf-8").strip()
    except OSError:
        return ""


def in_threads(do: Callable[[int], object], shards: Iterable[int], workers: int) -> None:
    """Do something with each shard, several at a time; what is raised ends it, once those under way are done."""
    failed = threading.Event()

    def unless_failed(shard: int) -> None:
        if failed.is_set():
            return
        try:
            do(shard)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(workers) as pool:
        started = [pool.submit(unless_failed, shard) for shard in shards]
        try:
            for one in started:
                one.result()
        except BaseException:
            failed.set()
            raise


def _difference(old: Any, new: Any) -> str:
    texts = [json.dumps(one, sort_keys=True) for one in (old, new)]
    return " instead of ".join(text if len(text) <= 200 else f"{text[:200]}..." for text in reversed(texts))
