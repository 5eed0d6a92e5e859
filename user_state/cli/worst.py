"""What `user-state check` says of the largest record: the worst case of the spec, and what `max_record` bounds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from user_state.plan.plan import Plan
from user_state.sizes import format_size, round_size
from user_state.worst_case import longest_text_within, worst_case

TOP_PARTS = 3


def worst_case_json(plan: Plan) -> dict[str, Any]:
    """Return the worst case as JSON values.

    `safe_text_bytes` is how long texts may be so that no record exceeds `max_record_bytes`: null if it does anyway.
    """
    worst = worst_case(plan)
    return {
        "record_bytes": worst.record_bytes,
        "seen_bytes": worst.seen_bytes,
        "parts": dict(worst.by_part),
        "max_record_bytes": plan.max_record_bytes,
        "can_exceed_max_record": worst.record_bytes > plan.max_record_bytes,
        "safe_text_bytes": longest_text_within(plan, plan.max_record_bytes),
    }


def worst_case_lines(plan: Plan, typical: Mapping[str, int]) -> Iterator[str]:
    """Yield what to print of the worst case.

    Args:
        plan: of the spec.
        typical: bytes of the record of each kind of user that `check` weighs.
    """
    worst, limit = worst_case(plan), format_size(plan.max_record_bytes)
    parts = ", ".join(f"{name}: {round_size(size)}" for name, size in islice(worst.by_part.items(), TOP_PARTS))
    yield (
        f"worst case {round_size(worst.record_bytes)} a user ({parts}),"
        f" and {round_size(worst.seen_bytes)} of remembered ids"
    )
    if worst.record_bytes <= plan.max_record_bytes:
        yield f"no record can exceed max_record, {limit}"
        return
    yield f"records are kept within max_record, {limit}: events that exceed it go to the dead letters as oversized"
    safe = longest_text_within(plan, plan.max_record_bytes)
    if safe is None:
        yield "a user can exceed it without long texts: fewer keys, rows or tiles make records smaller"
    else:
        yield f"nobody can exceed it with texts of at most {safe:,} bytes"
    for label, size in typical.items():
        if size > plan.max_record_bytes:
            yield f"warning: the record of a {label} user, {round_size(size)}, exceeds max_record: raise it"
