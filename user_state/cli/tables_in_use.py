"""Which item tables labels are answered with, by options: pinned files, pinned versions, or those that Redis says."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from user_state.embeddings.table import ItemTable
    from user_state.history.item_periods import Find, ItemPeriods
    from user_state.plan.plan import Plan
    from user_state.spec import LoadedSpec

VERSION = re.compile("[0-9a-f]{16}")


def tables_in_use(
    loaded: LoadedSpec,
    plan: Plan,
    times_us: tuple[int, int] | None,
    *,
    items: Sequence[str],
    item_version: Sequence[str],
    redis: str | None,
) -> ItemPeriods:
    """Return the tables by the time of the label.

    Args:
        loaded: the spec.
        plan: which tables outputs need.
        times_us: the first and the last time of a label; None if there are no labels.
        items: table=FILE or table=VERSION, for all labels.
        item_version: table=FILE, of versions that Redis may not have any more.
        redis: where it is noted which version was in use; None: every table has to be among `items`.

    Raises:
        InputError: a table is missing, or cannot be had.
        StoreUnavailable, StoreError: as the store.
    """
    from user_state.errors import InputError
    from user_state.history.item_periods import ItemPeriods, in_use
    from user_state.history.item_pins import parsed_pins, pinned
    from user_state.store.item_tables import ItemTableStore

    if redis is None and item_version:
        raise InputError("expected --redis beside --item-version: it says since when which version was in use")
    find = _finder(loaded, plan, item_version, redis)
    pins: dict[str, Any] = {}
    for table, text in parsed_pins(items).items():
        pins[table] = text
        if VERSION.fullmatch(text) and table in plan.item_tables:
            if redis is None:
                raise InputError(f"expected --redis beside --items {table}={text}: it has the versions of tables")
            pins[table] = find(table, text)
            if pins[table] is None:
                raise InputError(
                    f"expected a version of the item table {table} that Redis has, got {text}: name its file instead"
                )
    tables = pinned(loaded, plan, pins, all_of_them=redis is None)
    others = [table for table in plan.item_tables if table not in tables]
    if redis is None or times_us is None or not others:
        return ItemPeriods.always(tables)
    with ItemTableStore(redis, loaded.spec.name) as store:
        activations = {table: store.activations(table) for table in others}
    return in_use(tables, activations, times_us, plan.item_tables, find)


def _finder(loaded: LoadedSpec, plan: Plan, item_version: Sequence[str], redis: str | None) -> Find:
    """Return what finds versions among files, and then in Redis."""
    from user_state.embeddings.import_file import import_table
    from user_state.history.item_pins import parsed_files
    from user_state.store.served_table import table_of_version

    files: dict[tuple[str, str], ItemTable] = {}
    for table, paths in parsed_files(item_version, "--item-version").items():
        for path in paths:
            read = import_table(path)
            files[table, read.version] = read

    def find(table: str, version: str) -> ItemTable | None:
        if (table, version) in files or redis is None:
            return files.get((table, version))
        return table_of_version(redis, loaded.spec.name, table, plan.item_tables[table], version)

    return find
