"""What brute force says of files of events, for `verify`: as `run` reads them, or as `backfill` does.

run         all files as one stream in order of time, judged by the wall clock as they were read, which is not known
backfill    all events in order of publishing, each arriving as it was published; users are forgotten in between
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from user_state import oracle
from user_state.cli.progress import with_progress
from user_state.events.row_files import arrivals_of
from user_state.events.stored_files import facts_of
from user_state.oracle.possible import SLACK_US
from user_state.spec import LoadedSpec
from user_state.store.generations import Generations


@dataclass(frozen=True)
class Read:
    """What became of the events of files.

    Attributes:
        applied: by user, the events that the record is made of.
        counts: of all events, by fate.
        possible: of users whose events may have been applied or not, what may be.
        expiring: users whose record may be there or not.
    """

    applied: Mapping[str, Sequence[oracle.AppliedEvent]]
    counts: Mapping[str, int]
    possible: Mapping[str, oracle.Possible] = field(default_factory=dict)
    expiring: frozenset[str] = frozenset()


def is_history(spec: LoadedSpec, redis: str) -> bool:
    """Return whether a backfill of history has made the generation of a spec.

    Raises:
        StoreUnavailable, StoreError: as `Generations`.
    """
    if spec.generation is None:
        return False
    with Generations(redis, spec.spec.name) as generations:
        one = generations.find(spec.generation)
    return one is not None and one.is_history


def read_stream(spec: LoadedSpec, paths: Sequence[str], publish_column: str | None, now_us: int) -> Read:
    """Return what becomes of the events as `run` reads them; `now_us` is the wall clock, microseconds UTC."""
    rows = oracle.in_order_of_time(spec.spec, _files(spec, paths, publish_column), now_us)
    arrivals = [row.arrival for row in rows]
    written = [facts_of(path).changed_ns // 1000 for path in paths]
    written_us = [written[row.file] for row in rows]
    judged = with_progress(arrivals, "judging events", len(arrivals))
    replayed = oracle.replay(spec.spec, judged, now_us=now_us)
    possible = oracle.possible(spec.spec, arrivals, replayed.bins, written_us, now_us)
    return Read(replayed.applied, replayed.counts, possible)


def read_history(
    spec: LoadedSpec, paths: Sequence[str], publish_column: str | None, now_us: int, until_us: int | None
) -> Read:
    """Return what becomes of the events as `backfill` reads them.

    Args:
        spec: the rules.
        paths: the files.
        publish_column: the column of tables with the publish times.
        now_us: the wall clock, microseconds UTC.
        until_us: events published before then count; None: all.
    """
    arrivals = [one for file in _files(spec, paths, publish_column) for one in file]
    judged = list(with_progress(arrivals, "judging events", len(arrivals)))
    replayed = oracle.replay_history(spec.spec, judged, now_us, until_us)
    applied: dict[str, Sequence[oracle.AppliedEvent]] = {}
    expiring = set()
    for user, events in replayed.applied.items():
        # The record ends with the last event: it is there, it is not, or nobody can say.
        left_us = max(event.time_us for event in events) + spec.spec.retention - now_us
        if left_us > SLACK_US:
            applied[user] = events
        elif left_us > -SLACK_US:
            expiring.add(user)
    others = len(arrivals) - sum(replayed.counts.values())
    return Read(applied, {**replayed.counts, "others": others}, expiring=frozenset(expiring))


def _files(spec: LoadedSpec, paths: Sequence[str], publish_column: str | None) -> list[list[oracle.Arrival]]:
    schema = spec.schema.original
    versions = [version.original for version in spec.schema.versions]
    return [
        list(with_progress(arrivals_of(path, spec, schema, versions, publish_column), f"reading {path}"))
        for path in paths
    ]
