"""What brings packed records of other layouts to the plan's own, and says what is wrong with those that are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Blobs = Sequence[bytes | None]
"""n packed records, None being a user without one."""
Migrate = Callable[[Blobs], tuple[list[bytes | None], dict[int, str]]]
"""Packed records of any layout -> records of the plan's layout, None for those that cannot be read, and why by index.

Raises StoreUnavailable or StoreError where layouts cannot be looked up.
"""
ABSENT, READ, DECLINED = range(3)
"""What the compiled code says of each record; those that it declines are to be migrated."""


def as_they_are(blobs: Blobs) -> tuple[list[bytes | None], dict[int, str]]:
    """Return records of which none is known to be of another layout: a `Migrate` for those who hold no others."""
    reason = "expected a record of the plan's layout, got bytes that are none"
    return [None] * len(blobs), {at: reason for at, blob in enumerate(blobs) if blob is not None}
