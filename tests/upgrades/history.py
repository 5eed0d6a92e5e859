"""A stream folded under one spec after another into one store, and what must have become of it, said independently.

The model: an event is judged by the spec of its stage as the oracle judges it, with one rule more. A user's ids are
complete from the greatest (clock - allowed_lateness) of any write on, under whichever spec; events before that are too
late, whatever the spec of today allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.packed import Records
from user_state import oracle
from user_state.evaluation.memory_store import MemoryStore
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.oracle import AppliedEvent, Arrival
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec
from user_state.state.events import Events
from user_state.state.outcome import Outcome
from user_state.state.records import PackedRecords
from user_state.state.relevant import relevant

BINS = {
    Outcome.APPLIED: "applied",
    Outcome.DUPLICATE: "duplicate",
    Outcome.TOO_LATE: "dead_letter/too_late",
    Outcome.FROM_FUTURE: "dead_letter/from_future",
}


@dataclass
class User:
    """What the model knows of a user.

    Attributes:
        clock_us: the greatest publish time applied; None before the first.
        complete_from_us: ids are complete from here on.
        ids: event id -> event time of all that was ever applied.
        applied: (stage, event) in order of arrival.
        clock_of: stage -> the clock when the stage last wrote the user, in order of stages.
    """

    clock_us: int | None = None
    complete_from_us: int = 0
    ids: dict[str, int] = field(default_factory=dict)
    applied: list[tuple[int, AppliedEvent]] = field(default_factory=list)
    clock_of: dict[int, int] = field(default_factory=dict)


class History:
    """Specs one after another over one store; `stages` are those so far."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.stages: list[tuple[LoadedSpec, Plan]] = []
        self.users: dict[str, User] = {}

    @property
    def now(self) -> int:
        """The stage that runs."""
        return len(self.stages) - 1

    def upgrade(self, loaded: LoadedSpec) -> None:
        """Start the next stage."""
        plan = compile_plan(loaded)
        self.stages.append((loaded, plan))
        self._decoder = EventDecoder(plan, loaded.schema)
        self._folder = Folder(plan, self.store)
        self._folder.start()

    def fold(self, arrivals: Sequence[Arrival]) -> list[str]:
        """Fold a batch and assert that every event ends where the model says; return the bins."""
        _, plan = self.stages[-1]
        rows = [self._decoder.row(arrival.event, arrival.published_us) for arrival in arrivals]
        bins = ["ignored"] * len(rows)
        chosen = relevant(plan, Events.from_rows(plan, rows)).nonzero()[0].tolist() if rows else []
        outcomes = self._folder.fold([rows[index] for index in chosen]).outcome.tolist()
        for index, outcome in zip(chosen, outcomes, strict=True):
            bins[index] = BINS[Outcome(outcome)]
        assert bins == [self._judge(arrival) for arrival in arrivals]
        return bins

    def _judge(self, arrival: Arrival) -> str:
        spec = self.stages[-1][0].spec
        alone = oracle.replay(spec, [arrival])
        if alone.bins != ["applied"]:
            return alone.bins[0]
        ((name, (event,)),) = alone.applied.items()
        user = self.users.setdefault(name, User())
        clock_us = event.published_us if user.clock_us is None else user.clock_us
        complete_from_us = max(user.complete_from_us, clock_us - spec.allowed_lateness)
        event_id = event.event[spec.events.id]
        if event.time_us < complete_from_us:
            return "dead_letter/too_late"
        if user.ids.get(event_id, -1) >= complete_from_us:
            return "duplicate"
        user.ids[event_id] = event.time_us
        user.applied.append((self.now, event))
        user.clock_us = user.clock_of[self.now] = max(clock_us, event.published_us)
        user.complete_from_us = max(user.complete_from_us, user.clock_us - spec.allowed_lateness)
        return "applied"

    def records(self, user: str) -> Records:
        """Return the user's record as the spec of today reads it."""
        (stored,) = self.store.read([user])
        plan = self.stages[-1][1]
        moved, broken = PackedRecords(plan, self.store).migrate([stored.record])
        assert not broken, broken
        return Records(plan, moved)
