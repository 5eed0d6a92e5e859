"""What is damaged: of random specs, what the product writes of random events, and of a user who does a lot."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field, replace

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from tests.folded import FoldedRecord
from tests.fuzz.framings import CONFLUENT_ID, HEADER, attributed, changes, container, schema_id
from tests.random_worlds import World, worlds
from user_state.costs import Activity, made_up, rows
from user_state.events.decode import EventDecoder
from user_state.events.json_written import write_json
from user_state.events.message import Message
from user_state.oracle import replay
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec
from user_state.state.events import EventRow

BUSY = Activity("busy", sessions_a_day=3, events_a_session=25, days=4)
BATCH = 7
"""How many events arrive at a time."""


@dataclass
class Subject:
    """One spec, and bytes that were written under it.

    Attributes:
        loaded, plan: the spec.
        next_plan: another spec's, which records may be migrated to.
        records, seen, bodies, texts, batches, layouts: sound bytes of each sort; texts are bodies in JSON.
        confluents, containers: bodies behind a schema id, and as whole files.
        attributed: an attribute's name, its value and a body, with a zero byte between them; half are compressed.
        changes: change events of rows, deleted ones too, of `tests/fuzz/framings.py`.
        arriving: event rows that have not been folded into any record.
        at_us: a time at which all records may be read.
    """

    loaded: LoadedSpec
    plan: Plan
    next_plan: Plan
    records: list[bytes] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    texts: list[bytes] = field(default_factory=list)
    batches: list[bytes] = field(default_factory=list)
    layouts: list[bytes] = field(default_factory=list)
    confluents: list[bytes] = field(default_factory=list)
    containers: list[bytes] = field(default_factory=list)
    attributed: list[bytes] = field(default_factory=list)
    changes: list[bytes] = field(default_factory=list)
    arriving: list[EventRow] = field(default_factory=list)
    at_us: int = 0

    def of(self, sort: str) -> list[bytes]:
        """Return the sound bytes of a sort: the name of one of the attributes above."""
        found: list[bytes] = getattr(self, sort)
        return found


def subjects(seed: int, count: int) -> list[Subject]:
    """Return so many subjects, the same for the same seed."""
    found: list[World] = []

    @hypothesis.seed(seed)
    @settings(
        max_examples=3 * count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(worlds(most=30))
    def collect(world: World) -> None:
        found.append(world)

    collect()
    made = (subject_of(world) for world in reversed(found))
    chosen = list(itertools.islice((one for one in made if one.records), count))
    for one, following in itertools.pairwise((*chosen, chosen[0])):
        one.next_plan = changed(one, following)
    return chosen


def changed(one: Subject, following: Subject) -> Plan:
    """Return the plan of a spec that keeps every other declaration of one subject's, and has those of another."""
    kept, new = one.loaded.spec, following.loaded.spec
    declared = {
        section: {
            **{f"old{name}": entry for name, entry in list(getattr(kept, section).items())[::2]},
            **getattr(new, section),
        }
        for section in ("features", "sequences", "embeddings")
    }
    both = {"items": {**kept.items, **new.items}, "tiles": {**kept.tiles, **new.tiles}}
    return compile_plan(replace(following.loaded, spec=new.model_copy(update={**declared, **both})))


def subject_of(world: World) -> Subject:
    """Return what is written of a world."""
    loaded, plan = world.spec, compile_plan(world.spec)
    decoder = EventDecoder(plan, loaded.schema)
    subject = Subject(loaded, plan, plan, layouts=[plan.layout.to_json().encode()])
    of_user: dict[str, list[EventRow]] = defaultdict(list)
    for arrival in world.arrivals:
        subject.bodies.append(decoder.encode(arrival.event or {}))
        subject.texts.append(write_json(loaded.schema, arrival.event or {}))
        if replay(loaded.spec, [arrival]).bins[0] != "ignored":
            row = decoder.row(arrival.event or {}, arrival.published_us)
            of_user[row[0]].append(row)
    alone = [body[HEADER:] for body in subject.bodies]
    subject.confluents = [schema_id(CONFLUENT_ID) + body for body in alone]
    subject.containers = [
        container(loaded.schema.original, arrival.event or {}, ("null", "deflate")[at % 2])
        for at, arrival in enumerate(world.arrivals)
    ]
    subject.attributed = [attributed(body, at % 2 == 0) for at, body in enumerate(alone)]
    subject.changes = changes(len(world.arrivals))
    messages = [Message(body, {"from": "fuzz"}, None, "ack", "topic") for body in subject.bodies]
    subject.batches = [decoder.batch(messages[:most]).batch.pack() for most in (1, len(messages))]
    of_user["busy"] = rows(plan, made_up(plan, BUSY), "busy")
    for user, listed in of_user.items():
        record = FoldedRecord(plan)
        cut = listed[:-3] if user != "busy" else listed[:-20]
        for begin in range(0, len(cut), BATCH if user != "busy" else len(listed)):
            record.arrive(cut[begin : begin + BATCH] if user != "busy" else cut)
            if record.blob is not None and record.seen is not None:
                subject.records.append(record.blob)
                subject.seen.append(record.seen)
        subject.arriving += listed[len(cut) :]
        subject.at_us = max([subject.at_us, *(row[3] for row in listed), *(row[2] for row in listed)])
    return subject
