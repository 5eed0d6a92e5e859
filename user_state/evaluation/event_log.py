"""Files of a spec's events -> interactions, whatever their kind: Avro, Parquet, CSV, JSON lines; one file or a pattern.

They are read as `run` reads them: what is an event there is one here, ids have the same texts (docs/spec.md, "Ids"),
and the item and the value may lie at a path. All files together are one log in order of time. An id that came before
is left out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.errors import InputError
from user_state.evaluation.interactions import Interactions, in_order
from user_state.events.decode import EventDecoder
from user_state.events.event_files import event_file
from user_state.events.message import Message
from user_state.events.segments import Segment
from user_state.plan.compile import compile_plan
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec
from user_state.spec.model import Sequence as LastEvents
from user_state.state.event_batch import MessageList
from user_state.state.events import NULL_INT, EventRow, Events, ListColumn
from user_state.state.string_dictionary import NULL_CODE

SEGMENT_MESSAGES, SEGMENT_BYTES = 5_000, 4 << 20
NUMBERS = ("int", "float", "bool")
_LOG = "interactions_of_the_log"
"""The sequence that adds the item and the value to what is read of an event."""


def read_event_log(
    paths: Sequence[str],
    spec: LoadedSpec,
    item: str,
    value: str | None,
    least: float | None,
    *,
    with_rows: bool,
    source: str,
    advance: Callable[[int], object] = bool,
) -> Interactions:
    """Return the interactions of all files.

    Args:
        paths: the files.
        spec: what events are.
        item: the field of the item, by name or path.
        value: that of a number, if there is one.
        least: interactions with less than this in `value`, or null, are left out, their items kept.
        with_rows: keep the events as rows of the spec's plan.
        source: where they came from, for messages and reports.
        advance: called with how many further events have been read.

    Raises:
        InputError: a file cannot be read, or events have no such field.
    """
    for role, name in (("item", item), ("value", value)):
        if name is not None and name not in spec.schema.fields:
            raise InputError(
                f"expected the {role} in an event field of {spec.schema.name}, which has"
                f" {', '.join(spec.schema.fields)}; got {name!r}"
            )
    fields = spec.schema.fields
    if not fields[item].is_id:
        raise InputError(
            f"expected the item in a field that can be an id, got {item!r}, which is {fields[item].avro_type}"
        )
    if value is not None and fields[value].kind not in NUMBERS:
        raise InputError(f"expected the value in a field of numbers, got {value!r}, which is {fields[value].avro_type}")
    wider = _with_fields(spec, [item] if value is None else [item, value])
    plan = compile_plan(wider)
    place = {field.name: at for at, field in enumerate(plan.fields)}
    kept = [place[field.name] for field in compile_plan(spec).fields] if with_rows else []
    left_out: Counter[str] = Counter()
    triples: list[tuple[str, str, int]] = []
    rows: list[EventRow] = []
    catalogue: set[str] = set()
    ids: set[tuple[str, int]] = set()
    for events in _events(paths, wider, EventDecoder(plan, wider.schema), left_out):
        items = _texts(events, plan, place[item])
        below = _below(events, plan, None if value is None else place[value], least)
        made = _rows(events, plan, kept) if with_rows else []
        ids_of = zip(events.user.tolist(), events.id_hash.tolist(), events.time_us.tolist(), strict=True)
        for at, (user_at, id_hash, time_us) in enumerate(ids_of):
            user, name = events.users[user_at], items[at]
            if not name:
                left_out["without an item"] += 1
                continue
            catalogue.add(name)
            if below[at]:
                left_out["below the least value"] += 1
            elif (user, id_hash) in ids:
                left_out["duplicate"] += 1
            else:
                ids.add((user, id_hash))
                triples.append((user, name, time_us))
                if with_rows:
                    rows.append(made[at])
        advance(len(events))
    return in_order(
        source,
        triples,
        catalogue=sorted(catalogue),
        rows=rows if with_rows else None,
        left_out=tuple(sorted(left_out.items())),
    )


def _with_fields(spec: LoadedSpec, fields: list[str]) -> LoadedSpec:
    """Return the spec with a sequence of these fields beside what it declares."""
    sequences = {**spec.spec.sequences, _LOG: LastEvents(fields=list(dict.fromkeys(fields)), last=1)}
    return replace(spec, spec=spec.spec.model_copy(update={"sequences": sequences}))


def _events(paths: Sequence[str], spec: LoadedSpec, decoder: EventDecoder, left_out: Counter[str]) -> Iterator[Events]:
    for path in paths:
        file = event_file(path, spec)
        try:
            for segment in file.segments(0, SEGMENT_MESSAGES, SEGMENT_BYTES):
                left_out.update(why.reason for why in segment.refused.values())
                decoded = decoder.batch(_accepted(segment))
                left_out.update(error.reason for _, error in decoded.refused)
                yield Events.of_batch(decoded.batch)
        finally:
            file.close()


def _accepted(segment: Segment) -> MessageList | Sequence[Message]:
    """Return the messages that hold something else than what was refused already."""
    messages = segment.messages
    if not segment.refused:
        return messages
    at = np.array([at for at in range(len(messages)) if at not in segment.refused], np.int64)
    if isinstance(messages, MessageList):
        return MessageList.chosen([messages], np.zeros(len(at), np.int64), at)
    return [messages[one] for one in at.tolist()]


def _texts(events: Events, plan: Plan, place: int) -> list[str | None]:
    """Return the text of each event's item, None for null."""
    values = _values(events, plan, place)
    return [None if value is None else str(value) for value in values]


def _below(events: Events, plan: Plan, place: int | None, least: float | None) -> list[bool]:
    if place is None or least is None:
        return [False] * len(events)
    return [value is None or not value >= least for value in _values(events, plan, place)]


def _rows(events: Events, plan: Plan, places: Sequence[int]) -> list[EventRow]:
    """Return `(user, id_hash, time_us, published_us, *fields)` of each event, the fields those at `places`."""
    users = [events.users[user] for user in events.user.tolist()]
    fixed = (users, events.id_hash.tolist(), events.time_us.tolist(), events.published_us.tolist())
    return list(zip(*fixed, *(_values(events, plan, place) for place in places), strict=True))


def _values(events: Events, plan: Plan, place: int) -> list[Any]:
    """Return a column as values, None for null, lists as lists."""
    column, kind = events.columns[place], plan.fields[place].kind
    if isinstance(column, ListColumn):
        ends = column.ends.tolist()
        values = _plain(column.values, kind, events)
        return [values[begin:end] for begin, end in pairwise(ends)]
    return _plain(column, kind, events)


def _plain(column: npt.NDArray[Any], kind: str, events: Events) -> list[Any]:
    match kind:
        case "string":
            texts = events.pool.texts
            return [None if code == NULL_CODE else texts[code] for code in column.tolist()]
        case "float":
            return [None if math.isnan(value) else value for value in column.tolist()]
        case _:
            return [None if value == NULL_INT else value for value in column.tolist()]
