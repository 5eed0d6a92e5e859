"""What a plan writes, as eight bytes: two specs with the same definition write the same records.

Everything that decides what becomes of an event takes part: times, caps, filters, pieces of state with their windows.
Outputs, their names and defaults do not: they are worked out when a record is read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from user_state.plan.local_time import LocalTime


def definition_of(plan: Any, read_only: Collection[str]) -> bytes:
    """Return eight bytes that name what a plan writes.

    Args:
        plan: a `user_state.plan.plan.Plan`.
        read_only: names of its fields that have no part in writing.
    """
    parts = {part.name: _plain(getattr(plan, part.name)) for part in fields(plan) if part.name not in read_only}
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _plain(value: Any) -> Any:
    """Return a setting as JSON has it, the same for equal settings."""
    if isinstance(value, LocalTime):
        return value.zone  # its offsets come with the machine
    if is_dataclass(value):
        return [_plain(getattr(value, part.name)) for part in fields(value)]
    if isinstance(value, Mapping):
        return sorted([repr(key), _plain(held)] for key, held in value.items())
    if isinstance(value, frozenset | set):
        return sorted(map(repr, value))
    if isinstance(value, tuple | list):
        return [_plain(part) for part in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    return value
