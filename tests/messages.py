"""What one user's events come to, told by the core through bytes and by brute force alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.packed import Records, features
from tests.trying import record_of, spec_of
from user_state import oracle
from user_state.plan.compile import compile_plan


def told(
    parts: Mapping[str, Any], events: Sequence[Mapping[str, Any]], at_us: int, records: Records | None = None
) -> dict[str, float]:
    """Return the scalars of one user, having made sure that core and brute force tell the same.

    `records` is what the events were folded into; if not given, they are folded in one batch.
    """
    loaded = spec_of(**parts)
    plan = compile_plan(loaded)
    if records is None:
        records = record_of(plan, events) if events else Records.empty(plan, 1)
    values = features(plan, records, at_us).values[0].tolist()
    found = dict(zip([output.name for output in plan.scalars], values, strict=True))
    applied = [oracle.AppliedEvent(e["event_time"], n, e["event_time"], e) for n, e in enumerate(events)]
    assert found == oracle.features(loaded.spec, applied, at_us).scalars
    return found
