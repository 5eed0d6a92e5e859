"""The item vectors that a spec's embeddings need, opened for a reader: loaded tables and learned ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from user_state.embeddings.provider import VectorProvider
from user_state.errors import InputError
from user_state.plan.compile.learned import item_plan
from user_state.plan.outputs import FoldInOutput
from user_state.plan.plan import Plan
from user_state.store.learned_table import LearnedTable
from user_state.store.served_table import ServedTable


@dataclass(frozen=True)
class TableReading:
    """How tables are read.

    Attributes:
        timeout_s: how long a reading may wait for items.
        refresh_s: how often to look for a new version; and how long a learned vector is taken for fresh.
        memory_bytes: a table that needs more is not held whole but as a cache of that size.
        versions: versions to read whatever is in use, by table.
    """

    timeout_s: float
    refresh_s: float
    memory_bytes: int
    versions: Mapping[str, str]


def open_providers(
    url: str, plan: Plan, reading: TableReading, opened: Mapping[str, VectorProvider] | None = None
) -> dict[str, VectorProvider]:
    """Return a provider for each of `plan.item_tables`, not yet started.

    Args:
        url: of the server.
        plan: what is read.
        reading: how.
        opened: providers of the same spec for another generation of its records. Loaded tables are of no generation,
            and are taken from here.

    Raises:
        InputError: a version is asked for of what is no loaded table of the plan.
        StoreUnavailable, StoreError: as `connect`.
    """
    learned = {one.table: one for one in plan.learned}
    loadable = sorted(plan.item_tables.keys() - learned.keys())
    unknown = sorted(reading.versions.keys() - set(loadable))
    if unknown:
        known = ", ".join(loadable) or "it has none"
        raise InputError(f"expected loaded tables that the spec's embeddings use ({known}), got {unknown[0]!r}")
    whole = {output.table for output in plan.composed if isinstance(output, FoldInOutput)}
    found: dict[str, VectorProvider] = {}
    for table, dimensions in plan.item_tables.items():
        if table in learned:
            found[table] = LearnedTable(
                url,
                item_plan(plan, learned[table]),
                learned[table],
                memory_bytes=reading.memory_bytes,
                refresh_s=reading.refresh_s,
                timeout_s=reading.timeout_s,
            )
        elif opened is not None:
            found[table] = opened[table]
        else:
            found[table] = ServedTable(
                url,
                plan.name,
                table,
                dimensions,
                memory_bytes=reading.memory_bytes,
                refresh_s=reading.refresh_s,
                gram=table in whole,
                timeout_s=reading.timeout_s,
                version=reading.versions.get(table),
            )
    return found
