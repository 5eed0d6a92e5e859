"""Logs what a client answers for a sample of users, beside the calls: a look-up neither waits for it nor fails by it.

    call -> sampled users' records and numbers -> bounded queue -> thread -> Parquet: a temporary name, then renamed

All calls of a sampled user are logged: the upper 32 bits of xxh64 of the id's text are below the share of 2^32, the
same users as those of `training-set --users`. The queue, and what waits for its file to be full, are bounded by bytes.
A full queue drops, a disk that cannot be written to loses rows; both are counted, and the first failure is logged.
Numbers are copied as they were answered. Lists and embeddings are made of the record's bytes as they were answered
from, by the function that made the answer, in the thread.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import logging
import os
import secrets
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from user_state import native
from user_state.answers.tables import Answer, Answers, table_of
from user_state.errors import InputError
from user_state.history.user_share import below, check_share, parsed_share
from user_state.spec import LoadedSpec

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)
PART = ".part"
WAIT_S = 0.2
"""How often the thread looks at the queue."""
COLLECT_S = 2.0
"""How long answers wait in a queue emptier than `LOOKED_AT_FROM`: many at once take less work than one by one."""
LOOKED_AT_FROM = 0.25
"""Which part of the queue."""
CLOSE_S = 10.0
"""How long closing waits for what is queued."""
MOST_HELD_BYTES = 64 << 20
"""A file is ended when its rows take so much memory, however few they are."""


@dataclass
class LogCounts:
    """How many rows (answers of one user) were written, dropped by a full or closed log, or lost to an error."""

    written: int = 0
    dropped: int = 0
    failed: int = 0


class AnswerLog:
    """Where and of whom answers are logged; one for each client, which closes it.

    Args:
        folder: gets the files; made if it is not there.
        sample: the share of users: `"1%"` or 0.01.
        rows_a_file: a file is ended after so many rows.
        seconds_a_file: and after so many seconds.
        most_queued: how many calls may wait for the thread; further ones are dropped.
        most_queued_mb: how large the records and numbers of these may be together, MiB; likewise.

    Raises:
        InputError: one of these cannot be.
    """

    def __init__(
        self,
        folder: str | Path,
        sample: str | float = "1%",
        *,
        rows_a_file: int = 100_000,
        seconds_a_file: float = 300.0,
        most_queued: int = 1_000,
        most_queued_mb: float = 64.0,
    ) -> None:
        share = parsed_share(sample) if isinstance(sample, str) else sample
        check_share(share)
        self._below = below(share)
        if rows_a_file < 1 or seconds_a_file <= 0 or most_queued < 1 or most_queued_mb <= 0:
            raise InputError(
                "expected a log of answers with files of 1 row or more, a time above 0, a queue of 1 call or more and"
                " above 0 MB"
            )
        self._folder = Path(folder)
        self._rows_a_file, self._seconds_a_file, self._most_queued = rows_a_file, seconds_a_file, most_queued
        self._most_bytes = int(most_queued_mb * 2**20)
        self._spec = ""
        self.counts = LogCounts()
        self._begin()
        _OPEN.add(self)

    def of_spec(self, spec: LoadedSpec) -> None:
        """Take the spec that answers are made by; the client does."""
        if self._spec and self._spec != spec.fingerprint:
            raise InputError("expected a log of answers of its own for each client, got one that logs another spec's")
        self._spec = spec.fingerprint
        importlib.import_module("pyarrow.parquet")  # takes a while, which is not to fall on the first calls

    def sampled(self, users: tuple[str, ...]) -> list[int]:
        """Return which of these users are logged, ascending."""
        return native.sampled(users, self._below)

    def put(self, answer: Answer) -> None:
        """Have an answer written, some time later."""
        size = answer.size
        # One after the other: no answer comes between the last look at the queue and the end of the thread.
        with self._putting:
            is_full = self._queue.qsize() >= self._most_queued or self._queued_bytes + size > self._most_bytes
            if self._is_closed or is_full:
                self.counts.dropped += len(answer.users)
                return
            self._queued_bytes += size
            self._queue.put(answer)
            if self._thread is None:
                self._start()

    def close(self) -> None:
        """Write what is queued, and end the file; waits no longer than `CLOSE_S`."""
        with self._putting:
            self._is_closed = True
            if self._thread is None:  # none could be started, and none will be
                self._lose_queued()
        thread = self._thread
        if thread is not None:
            self._ended.set()
            thread.join(CLOSE_S)

    def _lose_queued(self) -> None:
        while not self._queue.empty():
            self.counts.failed += len(self._queue.get_nowait().users)

    def _begin(self) -> None:
        self._putting = threading.RLock()  # a signal may close the log in the middle of putting
        self._queued_bytes = 0
        self._queue: SimpleQueue[Answer] = SimpleQueue()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self._held: dict[pa.Schema, list[pa.Table]] = {}
        self._rows, self._held_bytes, self._began_s, self._has_said = 0, 0, time.monotonic(), False
        self.counts = LogCounts()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="answer-log", daemon=True)
        try:
            thread.start()
            self._thread = thread
        except RuntimeError as exc:
            self._say(exc)

    def _run(self) -> None:
        looked_s = time.monotonic()
        while True:
            is_last = self._ended.wait(WAIT_S)
            now_s = time.monotonic()
            full = max(self._queue.qsize() / self._most_queued, self._queued_bytes / self._most_bytes)
            if not is_last and full < LOOKED_AT_FROM and now_s - looked_s < COLLECT_S:
                continue
            looked_s = now_s
            try:
                self._collect()
            except Exception as exc:
                self._say(exc)
            if is_last or self._rows >= self._rows_a_file or self._held_bytes >= MOST_HELD_BYTES or self._is_old():
                self._write()
            if is_last:
                return

    def _is_old(self) -> bool:
        return self._rows > 0 and time.monotonic() - self._began_s >= self._seconds_a_file

    def _collect(self) -> None:
        """Turn what is queued into tables."""
        by_kind: dict[object, Answers] = {}
        try:
            while True:
                one = self._queue.get_nowait()
                with self._putting:
                    self._queued_bytes -= one.size
                by_kind.setdefault(one.kind, []).append(one)
        except Empty:
            pass
        for answers in by_kind.values():
            rows = sum(len(one.users) for one in answers)
            try:
                table = table_of(answers, self._spec)
            except Exception as exc:
                self.counts.failed += rows
                self._say(exc)
                continue
            if not self._rows:
                self._began_s = time.monotonic()
            self._held.setdefault(table.schema, []).append(table)
            self._rows += rows
            self._held_bytes += table.nbytes

    def _write(self) -> None:
        """Write what is held, a file for each selection of outputs."""
        held, self._held, self._rows, self._held_bytes = self._held, {}, 0, 0
        for tables in held.values():
            rows = sum(len(table) for table in tables)
            name = f"answers-{time.time_ns() // 1000}-{os.getpid()}-{secrets.token_hex(4)}.parquet"
            part = self._folder / (name + PART)
            try:
                import pyarrow as pa
                import pyarrow.parquet as pq

                self._folder.mkdir(parents=True, exist_ok=True)
                # Dictionaries and statistics of vectors take ten times as long, and nobody looks for rows by them.
                table = pa.concat_tables(tables).unify_dictionaries()
                pq.write_table(table, part, compression="lz4", use_dictionary=False, write_statistics=False)
                part.replace(self._folder / name)
                self.counts.written += rows
            except Exception as exc:
                self.counts.failed += rows
                self._say(exc)
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)

    def _say(self, exc: BaseException) -> None:
        if not self._has_said:
            self._has_said = True
            logger.warning(
                "answers are not logged to %s: %s: %s (said once; AnswerLog.counts goes on counting)",
                self._folder,
                type(exc).__name__,
                exc,
            )


_OPEN: weakref.WeakSet[AnswerLog] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for log in list(_OPEN):
        log.close()


def _begin_all() -> None:
    """Have a forked child log by itself: it has neither the thread nor, to write a second time, its parent's rows."""
    for log in list(_OPEN):
        log._begin()


os.register_at_fork(after_in_child=_begin_all)
