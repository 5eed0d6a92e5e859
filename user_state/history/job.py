"""A training set in a folder: a Parquet file a shard, and a manifest that says what they are of.

    part-00003-of-00008.parquet    the rows of a shard; there only if it is whole
    _manifest.json                 there once all shards are
    .work/                         what a job needs to go on after it was killed; gone at the end

The folder is one job's. A job is named by the spec, the files (path, size, time of change) and the options; the same
one goes on where it was, another is refused. The files of a job are the same bytes however often it was killed. Readers
of folders of Parquet pass over names that begin with _ or a dot.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from user_state.errors import InputError
from user_state.history.durable import PART, read_json, whole_file, write_json, writing
from user_state.history.event_source import EventSource
from user_state.history.item_periods import ItemPeriods
from user_state.history.job_parts import Progress, boot, check_same, check_shards, described, in_threads
from user_state.history.label_source import LabelBatches, LabelColumns, read_labels
from user_state.history.memory import give_back
from user_state.history.shards import Shards, shards_for
from user_state.history.training import AsOf, Counts
from user_state.history.training_batches import Answering, TrainingBatches
from user_state.history.user_share import check_share
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec

MANIFEST, WORK = "_manifest.json", ".work"
FORMAT = 1
"""Of the files: raised when rows of the same job are written otherwise."""
ROW_GROUP = 50_000


@dataclass(frozen=True)
class Settings:
    """What a training set is made of, beside the spec.

    Attributes:
        inputs: the files of events.
        labels: the file of labels.
        columns: which of its columns are what.
        as_of: publish or event.
        arrival_delay_us: as for `TrainingRows`.
        user_share: the share of users whose labels are answered, above 0 and up to 1.
        since_us, until_us: labels from and before these times are answered; None for all.
        shards: how many; None chooses by the size of the input.
        publish_column: the column of tables of events with the publish times.
        version: of this program, for the manifest.
        workers: how many shards are answered, and in memory, at a time; where there are fewer, several threads answer
            each. Says nothing of the rows.
    """

    inputs: Sequence[str]
    labels: str
    columns: LabelColumns
    as_of: AsOf = "publish"
    arrival_delay_us: int = 0
    user_share: float = 1.0
    since_us: int | None = None
    until_us: int | None = None
    shards: int | None = None
    publish_column: str | None = None
    version: str = ""
    workers: int = 1


class TrainingSetJob:
    """Makes a training set, or the rest of it.

    Args:
        spec, plan: of the features.
        settings: of what.
        items: the item tables that outputs are composed of, by the time of the label.
        out: the folder.
        progress: shows how far it is.

    Raises:
        InputError: the settings cannot be, an input cannot be read, or the folder holds something else.
    """

    def __init__(
        self,
        spec: LoadedSpec,
        plan: Plan,
        settings: Settings,
        items: ItemPeriods,
        out: Path,
        progress: Progress,
    ) -> None:
        self._spec = spec
        self._plan = plan
        self._settings = settings
        self._out = out
        self._work = out / WORK
        self._progress = progress
        _check(settings)
        self._inputs = [described(path) for path in settings.inputs]
        self._count = settings.shards or shards_for(sum(one["bytes"] for one in self._inputs))
        self._what = self._described(items)
        self._batches = TrainingBatches(
            plan,
            self._labels().schema,
            Answering(settings.as_of, settings.arrival_delay_us, items),
        )
        self._shards = Shards(self._work, plan, self._count, settings.user_share)

    def run(self) -> dict[str, Any]:
        """Make what is missing; return the manifest.

        Raises:
            InputError: a file cannot be read, a label has no user or no time, the disk is full.
        """
        done = self._claim()
        if done is not None:
            return done
        split = self._split()
        with self._progress("answering labels", split["labels"]) as advance:
            self._answer_all(advance)
        manifest = {**self._what, "counts": self._counts(split)}
        write_json(self._out / MANIFEST, manifest)
        shutil.rmtree(self._work, ignore_errors=True)
        return manifest

    def _labels(self) -> LabelBatches:
        columns = self._settings.columns
        return read_labels(self._settings.labels, [columns.user, columns.event_id or columns.user])

    def _claim(self) -> dict[str, Any] | None:
        """Take the folder; return the manifest if all is done.

        Raises:
            InputError: it holds something else.
        """
        manifest, job = read_json(self._out / MANIFEST), read_json(self._work / "job.json")
        found = manifest if manifest is not None else job
        if found is None:
            # A job that was killed before it had a name has left nothing but that.
            others = [path.name for path in self._out.glob("*") if path.name != WORK] if self._out.exists() else []
            others += [path.name for path in self._work.glob("*") if not path.name.endswith(PART)]
            if others:
                raise InputError(
                    f"expected an empty folder, or one of the same job, got {self._out}, which has"
                    f" {', '.join(sorted(others)[:3])}"
                )
            with writing(self._work):
                self._work.mkdir(parents=True, exist_ok=True)
            write_json(self._work / "job.json", self._what)
            return None
        if manifest is None and not (self._work / "split.json").exists():
            # It has come to nothing yet: labels that were refused, say, and have been mended since.
            write_json(self._work / "job.json", self._what)
            return None
        check_same(found, self._what, self._out)
        if manifest is not None:
            shutil.rmtree(self._work, ignore_errors=True)
        return None if manifest is None else dict(manifest)

    def _split(self) -> dict[str, Any]:
        """Have events and labels by shard; return how many there are."""
        done = read_json(self._work / "split.json")
        if done is not None and done["boot"] == boot() and done["files"] == self._shards.sizes():
            return dict(done)
        source = EventSource(self._plan, self._spec, self._settings.publish_column)
        with writing(self._work):
            labels = self._labels()
            users, left_labels, latest_us = self._shards.split_labels(
                labels, self._settings.columns, self._settings.since_us, self._settings.until_us
            )
            give_back()
            end_us = latest_us - self._settings.arrival_delay_us if self._settings.as_of == "publish" else None
            with self._progress("reading events", None) as advance:
                left_events = self._shards.split_events(source.of_files(self._settings.inputs), users, end_us, advance)
        split = {
            "boot": boot(),
            "files": self._shards.sizes(),
            "labels": sum(len(self._shards.labels(shard)) for shard in range(self._count)),
            "events_left_out": dict(left_events),
            "labels_left_out": dict(left_labels),
        }
        write_json(self._work / "split.json", split)
        give_back()
        return split

    def _answer_all(self, advance: Callable[[int], object]) -> None:
        """Write the rows of all shards, several at a time."""
        in_threads(lambda shard: self._answer(shard, advance), range(self._count), self._settings.workers)

    def _answer(self, shard: int, advance: Callable[[int], object]) -> None:
        """Write the rows of a shard, unless they are there."""
        import pyarrow.parquet as pq

        path = self._out / f"part-{shard:05}-of-{self._count:05}.parquet"
        counted = self._work / f"counts-{shard:05}.json"
        held = read_json(counted)
        if held is not None and path.exists():
            advance(held["labels"])
            return
        path.unlink(missing_ok=True)
        threads = max(self._settings.workers // self._count, 1)
        batches, counts = self._batches.of_shard(self._shards, shard, threads)
        with whole_file(path) as part, pq.ParquetWriter(part, self._batches.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch, ROW_GROUP)
                advance(len(batch))
            writer.close()
            # First: a shard that is there is counted.
            write_json(counted, asdict(counts))
        give_back()

    def _counts(self, split: Mapping[str, Any]) -> dict[str, Any]:
        events: Counter[str] = Counter({name: number for name, number in split["events_left_out"].items() if number})
        total = Counts()
        for shard in range(self._count):
            held = read_json(self._work / f"counts-{shard:05}.json")
            events.update(held["events"])
            for name in ("labels", "without_events", "errors", "held_back"):
                setattr(total, name, getattr(total, name) + held[name])
        labels = {
            "answered": total.labels,
            "present": total.labels - total.without_events - total.errors,
            "errors": total.errors,
            "held_back_own_event": total.held_back,
            **{name: number for name, number in split["labels_left_out"].items() if number},
        }
        return {"events": dict(events), "labels": labels}

    def _described(self, items: ItemPeriods) -> dict[str, Any]:
        """Return what names the job and no other."""
        import pyarrow as pa

        settings = self._settings
        return {
            "format": FORMAT,
            "spec": {"name": self._spec.spec.name, "fingerprint": self._spec.fingerprint},
            "inputs": self._inputs,
            "labels": described(settings.labels),
            "columns": asdict(settings.columns),
            "as_of": settings.as_of,
            "arrival_delay_us": settings.arrival_delay_us,
            "users": settings.user_share,
            "since_us": settings.since_us,
            "until_us": settings.until_us,
            "publish_column": settings.publish_column,
            "item_versions": items.described(),
            "shards": self._count,
            "versions": {"user_state": settings.version, "pyarrow": pa.__version__},
        }


def _check(settings: Settings) -> None:
    if not settings.inputs:
        raise InputError("expected a file of events, got none")
    if settings.as_of not in ("publish", "event"):
        raise InputError(f"expected rows as of publish or event, got {settings.as_of!r}")
    if settings.as_of == "event" and settings.arrival_delay_us:
        raise InputError("expected a delay of arrival only in order of publishing: in event order nothing arrives")
    if settings.arrival_delay_us < 0:
        raise InputError("expected a delay of arrival of 0 or more")
    check_share(settings.user_share)
    check_shards(settings.shards, settings.workers)
    since_us, until_us = settings.since_us, settings.until_us
    if since_us is not None and until_us is not None and since_us >= until_us:
        raise InputError("expected labels since a time before the one that they are until")
