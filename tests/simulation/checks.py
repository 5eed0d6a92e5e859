"""What must hold of a world, whatever has happened in it.

never twice    no event is counted twice, at any time
nothing lost   an event that was acknowledged as folded is counted, unless Redis has lost data since; and then
               whoever wrote it and has written since has said so
refused well   an event is refused only for a reason that holds
equal          what the record says is what brute force says of the events that it counts
added feature  a feature that a newer spec added counts every event that was folded since
progress       once nothing breaks any more, every message is acknowledged within a bounded number of steps
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from tests.simulation.specs import LEAST_LATENESS_US, digits
from user_state.events.screening import Screened
from user_state.oracle import AppliedEvent
from user_state.oracle import features as brute_force
from user_state.reading.features import Finished, Reader
from user_state.state.outcome import Outcome
from user_state.state.records import PackedRecords
from user_state.store.keys import record_key
from user_state.store.registry import Registry

if TYPE_CHECKING:
    from tests.simulation.worker import Message
    from tests.simulation.world import World


class Counted(NamedTuple):
    """How often a record counts each event, in the lifetime sum and in the added feature (None without it)."""

    total: list[int]
    extra: list[int] | None
    scalars: dict[str, float]
    items: list[str | None]


def counted(world: World, user: str) -> Counted | None:
    """Return what the server holds of a user, as the newest run's spec reads it; None if it cannot be read."""
    blob = world.server.get(record_key("tried", user))
    if not world.runs or isinstance(blob, list):
        return None
    plan = world.runs[-1].spec.plan
    if blob is None:
        return Counted([], None, {}, [])
    found = Reader(plan, PackedRecords(plan, Registry(world.calm_client(), "redis://model", "tried"))).features(
        [blob], world.now_us
    )
    if found.errors:
        return None
    scalars = {output.name: value for output, value in zip(plan.scalars, found.values[0].tolist(), strict=True)}
    total, extra = (total_of(found, name) for name in ("total", "extra"))
    sequence = found.sequences["recent"]
    items: list[str | None] = sequence["item_id"][0, : int(sequence.length[0])].tolist()
    return Counted(digits(total or 0.0), None if extra is None else digits(extra), scalars, items)


def total_of(found: Finished, name: str) -> float | None:
    """Return the sum of a user's values, None if the spec has no such feature."""
    table = found.sequences.get(f"{name}_sum_by_lifetime")
    return None if table is None else float(sum(table.of_user(0)["sum"]))


def check_counts(world: World) -> None:
    """No event is counted twice."""
    for user in world.users:
        found = counted(world, user)
        for what in (found.total, found.extra or []) if found else ():
            if any(count > 1 for count in what):
                numbers = [f"{user}{number}" for number, count in enumerate(what) if count > 1]
                world.violations.append(f"counted twice: {' '.join(numbers)}")


def check_at_the_end(world: World) -> None:
    """Everything else; nothing is on its way any more."""
    check_counts(world)
    for user in world.users:
        mine = [message for message in world.messages if message.user == user]
        found = counted(world, user)
        if found is None:
            if user not in world.foreign and world.registry_lost_at < 0:
                world.violations.append(f"unreadable: the record of {user}")
            continue
        total = found.total + [0] * (1 + max((message.number for message in mine), default=0))
        for message in mine:
            _check_refusals(world, message, mine)
            if not total[message.number]:
                _check_loss(world, message)
        _check_values(world, user, found, [one for one in mine if total[one.number]])
        _check_added_feature(world, user, found)


def _is_folded(outcome: Outcome | Screened) -> bool:
    # Two enumerations of numbers: equal members are not the same.
    return outcome is Outcome.APPLIED or outcome is Outcome.DUPLICATE


def _check_refusals(world: World, message: Message, mine: list[Message]) -> None:
    for outcome in (fate.outcome for fate in message.fates):
        if outcome is Outcome.TOO_LATE:
            newest_us = max(one.published_us for one in mine)
            legitimate = message.event["event_time"] < newest_us - LEAST_LATENESS_US or message.user in world.ids_lost
        elif outcome is Outcome.OVERSIZED:
            legitimate = message.user in world.large
        elif outcome is Outcome.BAD_RECORD:
            # On a cluster, an older run that has not noticed yet writes one batch before it registers its layout anew.
            late = world.url.startswith("redis-cluster") and world.losses
            legitimate = message.user in world.foreign or world.registry_lost_at >= 0 or bool(late)
        elif outcome is Screened.EXPIRED:
            legitimate = message.event["event_time"] <= world.now_us - world.runs[-1].spec.plan.retention_us
        else:
            legitimate = _is_folded(outcome)
        if not legitimate:
            world.violations.append(f"refused: {message} as {outcome.name}, for no reason")


def _check_loss(world: World, message: Message) -> None:
    if not message.fates or not _is_folded(message.fates[-1].outcome):
        return
    last = message.fates[-1]
    losses = [step for step, what in world.losses if step >= last.pulled_at and what in ("all", message.user)]
    if not losses:
        world.violations.append(f"lost: {message} was acknowledged in step {last.acked_at} and is not counted")
        return
    # Whoever wrote it knows what the server had; once it has written again it must have said so. (The keys of one user
    # may be lost without a trace that others than his next writer could find.)
    after = [(step, what) for step, what in world.losses if step > last.acked_at and what in ("all", message.user)]
    if not after or any(what != "all" for _, what in after):
        return
    first, latest = after[0][0], after[-1][0]
    writers = [fate.worker for fate in message.fates if fate.outcome is Outcome.APPLIED and fate.acked_at < first]
    # Lost between the write and its acknowledgement, it was told of then.
    told = any(step > losses[0] for step in world.said_at)
    if not told and any(worker.alive and worker.wrote_at > latest for worker in writers):
        world.violations.append(f"lost in silence: {message}, after step {first}")


def _check_values(world: World, user: str, found: Counted, counts: list[Message]) -> None:
    if not found.scalars:
        return
    spec = world.runs[-1].spec.spec.spec
    events = [AppliedEvent(m.event["event_time"], m.id_hash, m.published_us, m.event) for m in counts]
    expected = brute_force(spec, events, world.now_us)
    hour = found.scalars["hour_count_1h"]
    if not math.isclose(hour, expected.scalars["hour_count_1h"]):
        world.violations.append(
            f"values: {user}: hour_count_1h is {hour}, and {expected.scalars['hour_count_1h']} is right"
        )
    recent = expected.sequences["recent"]["item_id"]
    if found.items != recent:
        world.violations.append(f"values: {user}: recent is {found.items}, and {recent} is right")


def _check_added_feature(world: World, user: str, found: Counted) -> None:
    """Holds while nothing was lost since the newest spec began to write; else an older run may have been let in."""
    if world.url.startswith("redis-cluster"):
        return  # there a batch that is on its way when the newer spec begins may still be written
    if found.extra is None or world.claimed_at is None or world.writes_now != world.runs[-1].spec.plan.definition:
        return
    if any(step >= world.claimed_at for step, _ in world.losses) or world.registry_lost_at >= world.claimed_at:
        return
    before = set(world.counted_at_claim.get(user, []))
    now = {number for number, count in enumerate(found.total) if count}
    extra = {number for number, count in enumerate(found.extra) if count}
    missing = now - before - extra
    if missing:
        numbers = " ".join(f"{user}{number}" for number in sorted(missing))
        world.violations.append(f"added feature: folded since it is there, and not in it: {numbers}")
