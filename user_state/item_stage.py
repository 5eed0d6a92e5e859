"""The item stage: what users do, folded into the records of items, before it is folded into the users' own.

Items are the users of a derived stream (user_state/embeddings/pairs.py), and their records lie beside the users', under
a name of their own. An event enters its user's record only once its pairs are stored. So whatever dies between the two
folds, the event comes again, is no duplicate yet, gives the same pairs, of which each is folded once: nothing is lost
and nothing counted twice. docs/design/learned-vectors.md says what that rests on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from user_state.embeddings.pairs import derive_pairs
from user_state.errors import StoreUnavailable
from user_state.fold import Folder
from user_state.plan.compile.learned import item_plan
from user_state.plan.plan import Plan
from user_state.state.events import Events
from user_state.state.log_rows import Histories
from user_state.state.outcome import Outcome
from user_state.store.store import StateStore

FOLD_AT_MOST = 50_000
"""Derived events of one fold: bounds memory, since each is a vector for a moment."""

OpenItems = Callable[[str], StateStore]
"""Opens the store of records under a name."""


@dataclass
class LearnedReport:
    """What the item stage did since it was last asked.

    Attributes:
        applied, duplicate: derived events by outcome.
        refused: those too late for their item, or for an item whose record cannot be read.
        writes, conflicts, bytes_written: as in `FoldReport`.
    """

    applied: int = 0
    duplicate: int = 0
    refused: int = 0
    writes: int = 0
    conflicts: int = 0
    bytes_written: int = 0


class ItemStage:
    """Learns the tables that a plan declares; give `learn` to a `Folder` as `before_write`."""

    def __init__(
        self, plan: Plan, open_items: OpenItems, *, epoch: int | None = None, cache_bytes: int = 64 << 20
    ) -> None:
        self._plan = plan
        self._stores: list[StateStore] = []
        self._folders: list[Folder] = []
        for learned in plan.learned:
            of_items = item_plan(plan, learned)
            self._stores.append(open_items(of_items.name))
            # Items' records change hands with the users': what is old or new is the spec, not the table.
            folder = Folder(
                of_items,
                self._stores[-1],
                epoch=epoch,
                definition=plan.definition,
                cache_bytes=cache_bytes,
            )
            self._folders.append(folder)
        self._report = LearnedReport()

    def start(self) -> None:
        """Claim the items' records for the plan's spec.

        Raises:
            SpecSuperseded: a newer spec writes them.
            StoreUnavailable, StoreError: as the store.
        """
        for folder in self._folders:
            folder.start()

    def learn(self, histories: Histories, events: Events) -> None:
        """Store the pairs that arise as `events` arrive at records with these histories.

        Raises:
            StoreUnavailable, StoreError: as the store; some pairs may have been stored, and are told apart next time.
        """
        for learned, folder in zip(self._plan.learned, self._folders, strict=True):
            derived = derive_pairs(self._plan, learned, histories, events)
            # Parts of items together, so that few are written twice; each in order of time, since one that remembers
            # as many pairs as it may takes none older than those.
            order = np.lexsort((derived.time_us, derived.user))
            for begin in range(0, len(order), FOLD_AT_MOST):
                self._fold(folder, derived.take(order[begin : begin + FOLD_AT_MOST]))

    def take_report(self) -> LearnedReport:
        """Return what was done since the last call."""
        report, self._report = self._report, LearnedReport()
        return report

    def close(self) -> None:
        """Close the stores' connections."""
        for store in self._stores:
            close = getattr(store, "close", None)
            if close is not None:
                close()

    def _fold(self, folder: Folder, derived: Events) -> None:
        folded = folder.fold_events(derived)
        outcome, report = folded.outcome, self._report
        report.applied += int((outcome == Outcome.APPLIED).sum())
        report.duplicate += int((outcome == Outcome.DUPLICATE).sum())
        contended = outcome == Outcome.CONTENDED
        report.refused += int(((outcome != Outcome.APPLIED) & (outcome != Outcome.DUPLICATE) & ~contended).sum())
        report.writes += folded.writes
        report.conflicts += folded.conflicts
        report.bytes_written += folded.bytes_written
        if contended.any():
            # The users' own records wait for these pairs, so nobody may go on without them.
            parts = len(set(derived.user[contended].tolist()))
            raise StoreUnavailable(f"{parts} records of learned items are written by other workers all the time")
