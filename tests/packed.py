"""Records in few words, for tests: n users' packed records, and what the compiled code does with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from user_state.embeddings.item_vectors import ItemVectors
from user_state.plan.layout import Layout
from user_state.plan.plan import Plan
from user_state.reading.features import Finished, Reader
from user_state.state.envelope import Heads, heads_of
from user_state.state.events import Events
from user_state.state.histories import HistoryReader
from user_state.state.log_rows import Histories
from user_state.state.records import PackedRecords

VERSION = bytes(range(1, 9))


@dataclass(frozen=True)
class Records:
    """The packed records of n users; None is a user without one."""

    plan: Plan
    blobs: list[bytes | None]

    def __len__(self) -> int:
        return len(self.blobs)

    @classmethod
    def empty(cls, plan: Plan, users: int) -> Records:
        """Return so many users without a record."""
        return cls(plan, [None] * users)

    @property
    def heads(self) -> Heads:
        """What they say of their time."""
        found, wrong = heads_of(self.blobs)
        assert not wrong, wrong
        return found

    @property
    def histories(self) -> Histories:
        """The rows of all logs."""
        return HistoryReader(self.plan, packed(self.plan), range(len(self.plan.logs))).read(self.blobs)

    @property
    def size(self) -> int:
        """Bytes of all of them."""
        return sum(len(blob or b"") for blob in self.blobs)

    def user(self, index: int) -> Records:
        """One user's record."""
        return Records(self.plan, [self.blobs[index]])


def packed(plan: Plan) -> PackedRecords:
    """Return what folds and merges records of a plan; made once."""
    held: PackedRecords | None = plan.prepared.get("packed for tests")
    if held is None:
        held = plan.prepared["packed for tests"] = PackedRecords(plan)
    return held


def apply(plan: Plan, records: Records, events: Events, horizon_us: Sequence[int] | None = None) -> Records:
    """Return the records of the users of `events`, in their order, with the events folded in."""
    users = len(records)
    horizons = np.zeros(users, np.int64) if horizon_us is None else np.array(horizon_us, np.int64)
    folded, broken = packed(plan).fold(records.blobs, events, horizons, [VERSION] * users)
    assert not broken, broken
    new = [old if blob is None else blob for old, blob in zip(records.blobs, folded, strict=True)]
    return Records(plan, new)


def from_events(plan: Plan, events: Events) -> Records:
    """Return the records of the users of `events` that hold these events and nothing else."""
    return apply(plan, Records.empty(plan, len(events.users)), events)


def merge(plan: Plan, a: Records, b: Records) -> Records:
    """Return the records of the same users, made of two records of disjoint sets of events."""
    merged, broken = packed(plan).merge(a.blobs, b.blobs, [VERSION] * len(a))
    assert not broken, broken
    return Records(plan, merged)


def features(
    plan: Plan, records: Records, at_us: int | np.ndarray, item_vectors: Mapping[str, ItemVectors] | None = None
) -> Finished:
    """Return what the records hold, at a time or a time a record."""
    reader = plan.prepared.get("reader for tests")
    if reader is None:
        reader = plan.prepared["reader for tests"] = Reader(plan, packed(plan))
    found = reader.features(records.blobs, at_us, reader.histories(records.blobs, at_us), item_vectors)
    assert not found.errors, found.errors
    return found


class Registered:
    """Knows one layout."""

    def __init__(self, *layouts: Layout) -> None:
        self._layouts = {layout.fingerprint: layout for layout in layouts}

    def layout(self, fingerprint: bytes) -> Layout | None:
        """Return the layout with this fingerprint."""
        return self._layouts.get(fingerprint)


def migrated(plan: Plan, old: Plan, records: Records) -> Records:
    """Return records of an old plan in the layout of another."""
    moved, broken = PackedRecords(plan, Registered(old.layout)).migrate(records.blobs)
    assert not broken, broken
    return Records(plan, moved)
