"""The spec that the evaluator measures with when it is given none: interaction.avsc, and whatever a scorer declares."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from user_state.evaluation.interactions import Interactions
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec, parse_spec
from user_state.state.events import EventRow

# YAML is a superset of what repr gives for plain dicts, lists, strings and numbers.
_HEAD = """
name: {name}
events: {{schema: interaction.avsc, user: user_id, id: event_id, time: event_time}}
allowed_lateness: 1h
max_clock_skew: 5m
retention: 36500d
"""
_COUNTED = {"interactions": {"aggregate": ["count"], "windows": ["lifetime"]}}


def own_spec(parts: Mapping[str, Any] | None = None) -> LoadedSpec:
    """Return a spec with these parts, such as `{"embeddings": {...}}`; one that counts events, if there are none."""
    return parse_spec(own_spec_text(parts), beside=Path(), name="<the evaluator's own spec>")


def own_spec_text(parts: Mapping[str, Any] | None = None, *, name: str = "evaluated") -> str:
    """Return that spec as YAML."""
    declared = {"features": _COUNTED} if parts is None else parts
    outputs = "".join(f"{part}: {content!r}\n" for part, content in declared.items())
    return _HEAD.format(name=name) + outputs


def own_rows(plan: Plan, log: Interactions) -> Sequence[EventRow]:
    """Return the log as rows of a plan that reads the item alone; event ids are positions."""
    names = tuple(field.name for field in plan.fields)
    if names != ("item_id",):
        raise ValueError(f"expected a plan that reads item_id alone, got {names}")
    hashes = [int.from_bytes(hashlib.blake2b(b"%d" % at, digest_size=8).digest()) for at in range(len(log))]
    users, items = np.array(log.users, object)[log.user], np.array(log.items, object)[log.item]
    times = log.time_us.tolist()
    return list(zip(users.tolist(), hashes, times, times, items.tolist(), strict=True))
