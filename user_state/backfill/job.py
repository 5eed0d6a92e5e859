"""A backfill: files -> events by shard on disk -> records of each shard in Redis; how it goes on after it was killed.

    WORK/job.json        names the job: the spec, the files, the options
    WORK/events-00007    the events of a shard; WORK/split.json is there once all are
    marks in Redis       which shards are there whole (`user_state.store.backfill_marks`)

The same job goes on where it was, without its folder too, though it reads the files again then; a folder of another is
refused. Whatever is done twice gives the same bytes: records are made from nothing, in an order that does not depend on
the files', with versions that follow from the job.
"""

from __future__ import annotations

import fcntl
import queue
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from user_state.backfill.claim import Claim, check_store, claim_for
from user_state.backfill.fold import ShardFold, folded_shard
from user_state.backfill.judge import Judge
from user_state.backfill.write import GenerationWriter
from user_state.errors import InputError
from user_state.events.segments import OpenFile, open_named
from user_state.history.durable import PART, read_json, write_json, writing
from user_state.history.event_source import EventSource, Found, Refused
from user_state.history.job_parts import Progress, boot, check_same, check_shards, described, in_threads
from user_state.history.memory import give_back
from user_state.history.shards import Shards, shards_for
from user_state.history.time_parts import PART_BYTES
from user_state.history.user_share import check_share
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec
from user_state.state.events import U64
from user_state.store.backfill_marks import BackfillMarks
from user_state.store.connection import masked
from user_state.store.redis_store import RedisStateStore
from user_state.store.specs import propose_epoch

FORMAT = 1
"""Of what lies in the folder, and of the records that come of it: raised when either changes."""
ROUNDS = 3
"""How often shards are written again that Redis has lost meanwhile."""
REFUSED = ("too_late", "from_future", "oversized", "bad_record")
"""Fates of events that are dead letters if they are found out as they are folded."""
_JOB, _SPLIT, _LOCK = "job.json", "split.json", "lock"
StoreLetters = Callable[[list[Refused]], object]
"""Stores dead letters; returns once they are."""
CheckCounts = Callable[[Counter[str]], object]
"""Called with what became of the events so far as that is known before anything is written; raises to stop."""


@dataclass(frozen=True)
class Settings:
    """What a generation is made of, beside the spec.

    Attributes:
        inputs: the files of events.
        redis: where the generation is.
        until_us: events published before then alone; None for all.
        user_share: the share of users that get records, above 0 and up to 1.
        shards: how many; None chooses by the size of the input.
        publish_column: the column of tables with the publish times.
        version: of this program.
        workers: how many shards are in memory at a time. Says nothing of the records.
        part_bytes: of a shard on disk that is sorted in memory. Says nothing of the records beyond their bounds.
        open_file: opens an input.
        describe: returns what names an input and what is in it.
    """

    inputs: Sequence[str]
    redis: str = field(repr=False)  # it may have a password
    until_us: int | None = None
    user_share: float = 1.0
    shards: int | None = None
    publish_column: str | None = None
    version: str = ""
    workers: int = 1
    part_bytes: int = PART_BYTES
    open_file: OpenFile = open_named
    describe: Callable[[str], dict[str, Any]] = described


@dataclass(frozen=True)
class Filled:
    """A generation that is complete.

    Attributes:
        counts: what became of all events that were read, and beside them `read`, `users`, `users_expired`,
            `bytes_written`, `redis_went_back`, `horizon_shortened`, and `without_letter`: dead letters that are in
            the files alone, since they were found out as they were folded.
        latest_us: the latest publish time among the events that were folded, microseconds UTC; None if none was.
        was_complete: whether there was nothing left to do; there are no counts then.
    """

    counts: Counter[str]
    latest_us: int | None
    was_complete: bool = False


class BackfillJob:
    """Makes a generation, or the rest of it.

    Args:
        spec: of the generation.
        plan: of the spec.
        settings: of what.
        work: the folder for what is on the way.
        progress: shows how far it is.
        store_letters: stores dead letters.
        check: looks at the counts before anything is written.
        say: told what people should know, a line at a time.
        now_us: the wall clock.

    Raises:
        InputError: the settings cannot be, an input cannot be read, or the folder holds something else.
    """

    def __init__(
        self,
        spec: LoadedSpec,
        plan: Plan,
        settings: Settings,
        work: Path,
        progress: Progress,
        store_letters: StoreLetters,
        *,
        check: CheckCounts = bool,
        say: Callable[[str], object] = bool,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        check_share(settings.user_share)
        check_shards(settings.shards, settings.workers)
        if not settings.inputs:
            raise InputError("expected a file of events, got none")
        self._spec = spec
        self._plan = plan
        self._settings = settings
        self._work = work
        self._progress = progress
        self._store_letters = store_letters
        self._check = check
        self._say = say
        self._now_us = now_us
        self._name = str(spec.generation)
        inputs = [settings.describe(path) for path in settings.inputs]
        self._count = settings.shards or shards_for(sum(one["bytes"] for one in inputs))
        self._what = described_job(spec, settings, inputs, self._count)
        self._shards = Shards(work, plan, self._count)

    def run(self) -> Filled:
        """Make what is missing of the generation.

        Raises:
            InputError: the generation is somebody else's, a file cannot be read, the disk is full.
            SpecSuperseded: a newer spec writes it.
            StoreUnavailable, StoreError: as the store.
        """
        check_store(self._settings.redis, self._spec.keyspace)
        with writing(self._work):
            self._work.mkdir(parents=True, exist_ok=True)
        with self._alone():
            claimed_before = self._claim_folder()
            settings = self._settings
            claim = claim_for(settings.redis, self._spec, self._plan, self._what, settings.until_us, self._now_us())
            found = claim.begin()
            if found is None and claimed_before:
                self._say(f"Redis no longer has what this backfill has written of {self._name}: it is written again")
            if found is not None and found.is_complete:
                self._clear()
                return Filled(Counter(), found.latest_us, was_complete=True)
            write_json(self._work / _JOB, {"what": self._what, "claimed": True})
            split = self._split(claim.began_us)
            self._check(Counter(split["counts"]))
            with BackfillMarks(settings.redis, self._spec.keyspace, claim.job) as marks:
                counts = self._write_all(claim, split, marks)
                latest_us = split["latest_us"] or None
                claim.end(self._now_us(), counts["applied"], latest_us)
                marks.clear()
            self._clear()
        return Filled(counts, latest_us)

    def _open_store(self) -> RedisStateStore:
        return RedisStateStore(self._settings.redis, self._spec.keyspace)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the folder; the system lets go of it when the process ends, however it does."""
        with writing(self._work), (self._work / _LOCK).open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{self._work} is in use: the same backfill runs already") from None
            yield

    def _clear(self) -> None:
        """Remove the folder, what names the job last: whoever is killed meanwhile leaves no folder of nobody's."""
        for one in self._work.glob("*"):
            if one.name not in (_JOB, _LOCK):
                one.unlink(missing_ok=True)
        shutil.rmtree(self._work, ignore_errors=True)

    def _claim_folder(self) -> bool:
        """Take the folder; return whether the generation had been begun from here.

        Raises:
            InputError: the folder is another job's, or holds something else.
        """
        job = read_json(self._work / _JOB)
        if job is not None:
            check_same(job["what"], self._what, self._work)
            return bool(job["claimed"])
        others = [one.name for one in self._work.glob("*") if one.name != _LOCK and not one.name.endswith(PART)]
        if others:
            raise InputError(
                f"expected an empty folder, or one of the same job, got {self._work}, which has"
                f" {', '.join(sorted(others)[:3])}"
            )
        write_json(self._work / _JOB, {"what": self._what, "claimed": False})
        return False

    def _split(self, began_us: int) -> dict[str, Any]:
        """Have events by shard; return what became of the others."""
        done = read_json(self._work / _SPLIT)
        now = {"boot": boot(), "began_us": began_us, "files": self._shards.sizes()}
        if done is not None and all(done[name] == value for name, value in now.items()):
            return dict(done)
        settings = self._settings
        judge = Judge(self._plan, began_us, settings.until_us, settings.user_share)
        latest_us, read, folded = 0, 0, 0

        def choose(found: Found, hashes: U64, _of_users: U64) -> tuple[Any, Counter[str]]:
            nonlocal latest_us, read, folded
            judged = judge.judge(found, hashes)
            if judged.refused:
                self._store_letters(judged.refused)
            latest_us = max(latest_us, judged.latest_us)
            read += len(found)
            folded += int(judged.kept.sum())
            return judged.kept, judged.counts

        source = EventSource(
            self._plan, self._spec, settings.publish_column, keeps_refused=True, open_file=settings.open_file
        )
        with writing(self._work), self._progress("reading events", None) as advance:
            counts = self._shards.split_chosen(source.of_files(settings.inputs), choose, advance)
        split = {
            **now,
            "files": self._shards.sizes(),
            "counts": {**counts, "read": read},
            "events": folded,
            "latest_us": latest_us,
        }
        write_json(self._work / _SPLIT, split)
        give_back()
        return split

    def _write_all(self, claim: Claim, split: dict[str, Any], marks: BackfillMarks) -> Counter[str]:
        """Write the records of all shards; return what became of all events."""
        fold = ShardFold(self._plan, int(claim.job, 16))
        epoch = propose_epoch(self._settings.redis, self._plan, self._now_us())
        writers: queue.SimpleQueue[GenerationWriter] = queue.SimpleQueue()
        stores = [self._open_store() for _ in range(self._settings.workers)]
        for store in stores:
            writers.put(GenerationWriter(self._plan, store, epoch, self._name, now_us=self._now_us, waits=self._say))
        try:
            with self._progress("writing records of events", split["events"]) as advance:
                for round_ in range(ROUNDS + 1):
                    finished = marks.finished()
                    if round_ == 0:
                        advance(sum(_folded(counts) for counts in finished.values()))
                    todo = [shard for shard in range(self._count) if shard not in finished]
                    if not todo:
                        break
                    if round_ == ROUNDS:
                        raise InputError(
                            f"Redis at {masked(self._settings.redis)} loses what is written to it: {len(todo)} of"
                            f" {self._count} shards are missing. Run the same command again once it keeps its data"
                        )
                    if round_:
                        self._say(f"Redis has lost data: {len(todo)} of {self._count} shards are written again")

                    def write(shard: int) -> None:
                        writer = writers.get()
                        try:
                            self._write_shard(fold, writer, shard, marks, advance)
                        finally:
                            writers.put(writer)

                    in_threads(write, todo, self._settings.workers)
        finally:
            for store in stores:
                store.close()
        total: Counter[str] = Counter(split["counts"])
        for counts in finished.values():
            total.update(counts)
            total["without_letter"] += sum(counts.get(name, 0) for name in REFUSED)
        return total

    def _write_shard(
        self,
        fold: ShardFold,
        writer: GenerationWriter,
        shard: int,
        marks: BackfillMarks,
        advance: Callable[[int], object],
    ) -> None:
        total: Counter[str] = Counter()
        for made in folded_shard(fold, self._shards, shard, self._work, self._settings.part_bytes):
            counts = writer.write(made)
            total.update(counts)
            advance(_folded(counts))
        writer.waiting(lambda: marks.finish(shard, total))
        give_back()


def described_job(spec: LoadedSpec, settings: Settings, inputs: list[dict[str, Any]], shards: int) -> dict[str, Any]:
    """Return what names a backfill and no other; `inputs` are the files as `settings` describes them."""
    return {
        "format": FORMAT,
        "spec": {"name": spec.spec.name, "fingerprint": spec.fingerprint},
        "generation": str(spec.generation),
        "redis": masked(settings.redis),
        "inputs": inputs,
        "until_us": settings.until_us,
        "users": settings.user_share,
        "publish_column": settings.publish_column,
        "shards": shards,
        "version": settings.version,
    }


def _folded(counts: Counter[str] | dict[str, int]) -> int:
    """Return of how many events the counts of a shard tell."""
    return sum(counts.get(name, 0) for name in ("applied", "duplicate", "expired", *REFUSED))
