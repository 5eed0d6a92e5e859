"""The versions of item tables that labels are answered with: the ones that were in use at the label's time.

    pinned     one version for all labels, which whoever asks names
    in use     the version that was the last to come into use strictly before the label; of a label before the first
               one, nobody knows what serving would have answered, and it is refused

A client follows a new version within some seconds (`items_refresh_s`); labels in these seconds have the new one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from user_state.embeddings.activation import Activation
from user_state.embeddings.item_vectors import ItemVectors
from user_state.embeddings.table import ItemTable
from user_state.errors import InputError
from user_state.state.events import I64
from user_state.times import format_time

Find = Callable[[str, str], ItemTable | None]
"""Called with a table's name and a version; returns it, None if it is nowhere to be had."""
_EVER = np.iinfo(np.int64).min


@dataclass(frozen=True)
class ItemPeriods:
    """Item tables by time.

    Attributes:
        since_us: (p,) ascending, microseconds UTC: labels after this time are answered with these tables, up to and
            with the next such time.
        tables: of each period, the tables by name.
    """

    since_us: I64
    tables: Sequence[Mapping[str, ItemTable]]

    @classmethod
    def always(cls, tables: Mapping[str, ItemTable]) -> ItemPeriods:
        """Return the same tables for all labels."""
        return cls(np.array([_EVER]), (tables,))

    def period(self, at_us: I64) -> I64:
        """Return (n,) the period of labels at these times."""
        return np.asarray(np.searchsorted(self.since_us, at_us, side="left") - 1, np.int64)

    def vectors(self, at_us: I64) -> Mapping[str, ItemVectors] | list[tuple[I64, Mapping[str, ItemVectors]]]:
        """Return the vectors for labels at these times: for all of them, or for some rows each."""
        if len(self.tables) == 1:
            return self.tables[0]
        period = self.period(at_us)
        # Without labels one part of none says what shape there is nothing of.
        used = np.unique(period).tolist() or [0]
        return [(np.flatnonzero(period == one), self.tables[one]) for one in used]

    def versions(self) -> list[str]:
        """Return of each period, as JSON, the version of each table."""
        return [
            json.dumps({name: table.version for name, table in sorted(one.items())}, sort_keys=True)
            for one in self.tables
        ]

    def described(self) -> Any:
        """Return the versions by table, and by period if there are several, for a manifest."""
        versions = [json.loads(text) for text in self.versions()]
        if len(versions) == 1:
            return versions[0]
        since = [None if us == _EVER else us for us in self.since_us.tolist()]
        return [{"since_us": us, "versions": of} for us, of in zip(since, versions, strict=True)]


def in_use(
    pinned: Mapping[str, ItemTable],
    activations: Mapping[str, Sequence[Activation]],
    times_us: tuple[int, int],
    dimensions: Mapping[str, int],
    find: Find,
) -> ItemPeriods:
    """Return the tables for labels by time.

    Args:
        pinned: tables that are the same for all labels.
        activations: of each other table, since when which version was in use, the earliest first.
        times_us: the first and the last time of a label, microseconds UTC.
        dimensions: of each table, as the spec says.
        find: finds versions; only those that labels need are asked for.

    Raises:
        InputError: a label lies before the first version, or one that is needed is not to be had.
    """
    needed = {name: _needed(name, found, times_us) for name, found in activations.items()}
    tables = {
        (name, one.version): _found(name, one, times_us, dimensions[name], find)
        for name, some in needed.items()
        for one in some
    }
    since = [_EVER, *sorted({one.at_us for some in needed.values() for one in some[1:]})]
    periods = []
    for begin_us in since:
        current = {
            name: [one for one in some if one.at_us <= begin_us or one is some[0]][-1] for name, some in needed.items()
        }
        periods.append({**pinned, **{name: tables[name, one.version] for name, one in current.items()}})
    return ItemPeriods(np.array(since, np.int64), tuple(periods))


def _needed(name: str, activations: Sequence[Activation], times_us: tuple[int, int]) -> Sequence[Activation]:
    """Return those that labels between these times were answered with."""
    first_us, last_us = times_us
    pin = f"or say which version all are to have, with --items {name}=FILE, made of what was known before the first"
    if not activations:
        raise InputError(
            f"expected Redis to know since when which version of the item table {name} was in use, got nothing: it is"
            f" written down as a table is loaded; load the table again for labels from now on, {pin}"
        )
    before = [one for one in activations if one.at_us < first_us]
    if not before:
        since = format_time(activations[0].at_us)
        raise InputError(
            f"expected labels after {since}, when the first version of the item table {name} came into use, got one at"
            f" {format_time(first_us)}: leave earlier ones out with --since, {pin}"
        )
    return [before[-1], *(one for one in activations if first_us <= one.at_us < last_us)]


def _found(name: str, one: Activation, times_us: tuple[int, int], dimensions: int, find: Find) -> ItemTable:
    table = find(name, one.version)
    if table is None:
        since = format_time(max(one.at_us, times_us[0]))
        raise InputError(
            f"expected version {one.version} of the item table {name}, which labels from {since} on were served with,"
            " got none: Redis does not have it any more; name the file that it was loaded from with"
            f" --item-version {name}=FILE"
        )
    if table.dimensions != dimensions:
        raise InputError(
            f"expected vectors of {dimensions} numbers for the table {name}, as the spec says, got"
            f" {table.dimensions} in version {one.version}"
        )
    return table
