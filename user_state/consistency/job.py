"""The whole comparison: logged answers of a folder, and files of events."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from user_state import oracle
from user_state.answers.columns import AT, ITEM_VERSIONS, USER
from user_state.consistency.bounds import beyond_bounds, outputs_with_bounds
from user_state.consistency.compare import Comparison, Report
from user_state.consistency.served import Folder, Served, read_folder
from user_state.embeddings.table import ItemTable
from user_state.errors import InputError
from user_state.events.row_files import arrivals_of
from user_state.events.stored_files import facts_of
from user_state.history.event_source import EventSource, Found
from user_state.history.job_parts import Progress
from user_state.history.label_source import LabelColumns, labels_in, read_labels
from user_state.history.shards import Shards, shards_for
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec

WITHIN_US = 60_000_000
"""How long an event may be in flight, unless somebody says."""
_ROW = "row"


@dataclass(frozen=True)
class Against:
    """What answers are compared with.

    Attributes:
        inputs: files of events, from the first event on.
        within_us: how long an event may be in flight.
        delay_us: as for a training set.
        tables: of item vectors, by name: the versions that answers may have been composed of.
        any_spec: compare answers by another spec too.
    """

    inputs: Sequence[str]
    within_us: int = WITHIN_US
    delay_us: int = 0
    tables: Mapping[str, Sequence[ItemTable]] = field(default_factory=dict)
    any_spec: bool = False


def consistency(spec: LoadedSpec, folder: Path, against: Against, progress: Progress) -> tuple[Report, Folder]:
    """Compare all answers of a folder.

    Raises:
        InputError: there is nothing to compare, or something cannot be read.
    """
    plan = compile_plan(spec)
    found = read_folder(folder, plan, spec.fingerprint, any_spec=against.any_spec)
    report = Report(left_out=found.left_out)
    for served in found.served:
        missing = ", ".join(sorted(served.plan.item_tables.keys() - against.tables.keys()))
        if missing:
            raise InputError(
                f"answers are composed of {missing}: name the file of each version that was in use, --items table=FILE"
            )
        for some, tables in _by_version(served, against.tables, report):
            _compare(spec, plan, some, against, tables, progress, report)
    return report, found


def _by_version(
    served: Served, given: Mapping[str, Sequence[ItemTable]], report: Report
) -> Iterator[tuple[Served, Mapping[str, ItemTable]]]:
    """Yield answers with the tables that they say they were composed of; count those whose version is not given."""
    import pyarrow.compute as pc

    if not served.plan.item_tables:
        yield served, {}
        return
    held = {(name, one.version): one for name, versions in given.items() for one in versions}
    column = served.table.column(ITEM_VERSIONS)
    for text in column.unique().to_pylist():
        some = replace(served, table=served.table.filter(pc.equal(column, text)))
        versions = json.loads(text)
        used = {name: versions.get(name, "") for name in served.plan.item_tables}
        unknown = [one for one in used.items() if one not in held]
        for name, version in unknown[:1]:
            what = f"version {version} of the table {name}" if version else f"the table {name} before one was loaded"
            report.left_out[f"composed of {what}, which --items does not name"] += len(some.table)
        if not unknown:
            yield some, {name: held[name, version] for name, version in used.items()}


def _compare(
    spec: LoadedSpec,
    plan: Plan,
    served: Served,
    against: Against,
    tables: Mapping[str, ItemTable],
    progress: Progress,
    report: Report,
) -> None:
    import pyarrow as pa

    asked = served.table.select([USER, AT]).append_column(_ROW, pa.array(np.arange(len(served.table))))
    count = shards_for(sum(facts_of(path).size for path in against.inputs))
    newest_us = 0

    def watched(batches: Iterator[Found]) -> Iterator[Found]:
        nonlocal newest_us
        for one in batches:
            newest_us = max(newest_us, int(one.events.published_us.max(initial=0)))
            yield one

    with tempfile.TemporaryDirectory(prefix="user-state-consistency-") as work:
        shards = Shards(Path(work), plan, count)
        users, _, _ = shards.split_labels(read_labels(asked), LabelColumns(USER, AT, None, None), None, None)
        with progress("reading events", None) as advance:
            source = EventSource(plan, spec)
            # Also what was published after the answers: some were asked for a time before the record's newest event.
            shards.split_events(watched(source.of_files(against.inputs)), users, None, advance)
        bounded = outputs_with_bounds(spec.spec)
        comparison = Comparison(plan, served, against.within_us, against.delay_us, newest_us, tables, report, bounded)
        with progress("comparing answers", len(served.table)) as advance:
            for shard in range(count):
                labels = labels_in(shards.labels(shard))
                if len(labels):
                    rows = labels.table.column(_ROW).to_numpy().astype(np.int64)
                    comparison.users(shards.events(shard), rows)
                    advance(len(rows))
    doubts = comparison.doubts
    with progress("holding answers to their bounds", len(doubts)) as advance:
        arrivals = functools.partial(_arrivals, spec, against.inputs)
        comparison.settle(_advancing(beyond_bounds(spec, doubts, arrivals, against.delay_us), advance))


def _arrivals(spec: LoadedSpec, paths: Sequence[str]) -> Iterator[oracle.Arrival]:
    versions = [version.original for version in spec.schema.versions]
    for path in paths:
        yield from arrivals_of(path, spec, spec.schema.original, versions)


def _advancing(made: Iterator[list[str]], advance: Callable[[int], object]) -> Iterator[list[str]]:
    for one in made:
        advance(1)
        yield one
