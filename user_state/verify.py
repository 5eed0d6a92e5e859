"""What a client reads, held against the brute force of `user_state.oracle`, user by user and feature by feature.

Counts, ids and order must be equal; sums, means and other floating-point numbers to 1e-6 relative, embeddings to 1e-6
of the vector's largest component (their last bits depend on the order of arrival). Sketches, and embeddings stored in
half precision, must lie within a few of the errors they state: user_state/oracle/sketches.py and embeddings.py say how
many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from user_state import oracle
from user_state.client import UserStateClient
from user_state.errors import StoreError
from user_state.printable import printable
from user_state.results import UserState, UserStateBatch
from user_state.spec import LoadedSpec

RELATIVE = 1e-6
SMALL = 1e-3
"""Values nearer to 0 are compared as if they were this large: the skew of a symmetric window is 0 but for rounding."""
BATCH_USERS = 500
VERSION_TRIES = 5


@dataclass(frozen=True)
class Difference:
    """One value that is not what brute force says; `size` orders them, infinite where equality was expected."""

    user: str
    output: str
    expected: Any
    actual: Any
    size: float

    def __str__(self) -> str:
        # Nothing is a part of 0.
        nothing = isinstance(self.expected, float) and self.expected == 0
        off = "" if nothing or not math.isfinite(self.size) else f" ({100 * self.size:.2g} % off)"
        return f"{printable(self.user)} {self.output}: expected {_short(self.expected)}, got {_short(self.actual)}{off}"


@dataclass(frozen=True)
class Verification:
    """What was compared, and what differed, worst first."""

    users: int
    values: int
    differences: list[Difference]


def verify(
    client: UserStateClient,
    spec: LoadedSpec,
    applied: Mapping[str, Sequence[oracle.AppliedEvent]],
    at_us: int,
    stored: Iterable[str] = (),
    possible: Mapping[str, oracle.Possible] | None = None,
    advance: Callable[[int], object] = bool,
) -> Verification:
    """Compare every output of every user with brute force over the user's applied events.

    Args:
        client: reads the records.
        spec: what they hold.
        applied: each user's applied events.
        at_us: as of when they are read.
        stored: users that have a record, in any order: one without an applied event should have none.
        possible: in place of `applied`, for users with events that may have been applied or not. The record has to be
            right for one of the choices, and is compared with the nearest if it is right for none.
        advance: called with how many further users have been compared, for progress.

    Raises:
        StoreUnavailable, StoreError: as the client.
    """
    possible = possible or {}
    users = sorted(applied.keys() | possible.keys())
    values = 0
    differences: list[Difference] = []
    right_us: int | None = None
    for begin in range(0, len(users), BATCH_USERS):
        asked = users[begin : begin + BATCH_USERS]
        events = {u: possible[u].events if u in possible else [a.event for a in applied[u]] for u in asked}
        batch, tables = _with_tables(client, spec, events, at_us)
        for index in range(len(batch)):
            state = batch[index]
            choices: Iterable[tuple[int | None, Sequence[oracle.AppliedEvent]]]
            if state.user in possible:
                choices = possible[state.user].choices(right_us)
            else:
                choices = [(None, applied[state.user])]
            nearest: list[Difference] | None = None
            for moment_us, chosen in choices:
                found, compared = _compared(spec, state, chosen, at_us, tables)
                if nearest is None or len(found) < len(nearest):
                    nearest, values_of_nearest = found, compared
                if not found:
                    right_us = right_us if moment_us is None else moment_us
                    break
            differences.extend(nearest or [])
            values += values_of_nearest
            advance(1)
    for user in set(stored) - applied.keys() - possible.keys():
        differences.append(Difference(user, "record", "missing", "present", math.inf))
    differences.sort(key=lambda difference: (-difference.size, difference.user, difference.output))
    return Verification(len(users), values, differences)


def _compared(
    spec: LoadedSpec,
    state: UserState,
    applied: Sequence[oracle.AppliedEvent],
    at_us: int,
    tables: Mapping[str, oracle.ItemTable],
) -> tuple[list[Difference], int]:
    """Return what is served and should not be so if these events were applied, and how many values were compared."""
    if state.error is not None:
        return [Difference(state.user, "record", "readable", f"unreadable: {state.error}", math.inf)], 0
    if not applied or not state.present:
        if bool(applied) == state.present:
            return [], 0
        words = ("present", "missing") if applied else ("missing", "present")
        return [Difference(state.user, "record", *words, math.inf)], 0
    expected = oracle.features(spec.spec, applied, at_us, tables)
    values = len(expected.scalars) + len(expected.arrays) + len(expected.sequences) + len(expected.embeddings)
    return list(_differences(state, expected)), values


def _with_tables(
    client: UserStateClient,
    spec: LoadedSpec,
    events: Mapping[str, Sequence[Mapping[str, Any]]],
    at_us: int,
) -> tuple[UserStateBatch, dict[str, oracle.ItemTable]]:
    """Return what is served to the users of these events, and the item vectors that it was composed with.

    Raises:
        StoreError: the tables' versions change faster than they are read.
    """
    for _ in range(VERSION_TRIES):
        batch = client.get_many(list(events), at_us)
        tables = {}
        for table, version in batch.item_versions.items():
            fields = {e.of for e in spec.spec.embeddings.values() if e.vectors == table}
            named = {event.get(field) for of_user in events.values() for event in of_user for field in fields}
            items = sorted(oracle.id_of(item) for item in named if item is not None)
            held = client.item_vectors(table, items)
            if held.version != version:
                break
            vectors, found = held.lookup(items)
            there = {item: vector for item, vector, has in zip(items, vectors, found, strict=True) if has}
            tables[table] = oracle.ItemTable(there, held.gram())
        else:
            return batch, tables
    raise StoreError("expected tables of item vectors that stay for as long as a batch is read, got new versions")


def _differences(state: UserState, expected: oracle.Expected) -> Iterable[Difference]:
    for names, held_names in (
        (expected.scalars, state.features),
        (expected.arrays, state.arrays),
        (expected.sequences, state.sequences),
        (expected.embeddings, state.embeddings),
    ):
        for name in sorted(set(names) ^ set(held_names)):
            yield Difference(state.user, name, name in names, name in held_names, math.inf)
    for name, value in expected.scalars.items():
        actual = state.features.get(name, math.nan)
        low, high = expected.bounds.get(name, (value, value))
        size = _scalar_difference(float(np.float32(_nearest(actual, low, high))), actual)
        if size > RELATIVE:
            yield Difference(state.user, name, value, actual, size)
    for name, numbers in expected.arrays.items():
        held = state.arrays.get(name)
        if held is None or held.shape != numbers.shape:
            yield Difference(state.user, name, numbers, held, math.inf)
            continue
        lows, highs = expected.bounds.get(name, (numbers, numbers))
        allowed = np.array(list(map(_nearest, held.tolist(), lows.tolist(), highs.tolist())), np.float32)
        size = max(map(_scalar_difference, allowed.tolist(), held.tolist()), default=0.0)
        if size > RELATIVE:
            yield Difference(state.user, name, numbers, held, size)
    for name, entries in expected.sequences.items():
        held_entries = state.sequences.get(name)
        differing = _worst_entry(entries, held_entries)
        accepts = expected.accepts.get(name)
        if differing is not None and not (
            accepts and _columns(held_entries) == _columns(entries) and accepts(held_entries)
        ):
            place, *of_entry = differing
            yield Difference(state.user, f"{name}{place}", *of_entry)
    for name, vector in expected.embeddings.items():
        held_vector = state.embeddings.get(name)
        if held_vector is None or held_vector.shape != vector.shape:
            yield Difference(state.user, name, vector, held_vector, math.inf)
            continue
        scale = float(np.abs(vector).max()) or 1.0
        low_vector, high_vector = expected.bounds.get(name, (vector, vector))
        size = float(np.abs(held_vector - np.clip(held_vector, low_vector, high_vector)).max()) / scale
        if not size <= RELATIVE:
            yield Difference(state.user, name, vector, held_vector, size)


def _nearest(actual: float, low: float, high: float) -> float:
    """Return what of all values from `low` to `high` is nearest to the actual one: itself, if it is one of them."""
    return low if math.isnan(actual) or math.isnan(low) else min(max(actual, low), high)


def _columns(entries: Any) -> list[str] | None:
    """Return the columns of a table, [""] for a list, and None for what is neither."""
    return list(entries) if isinstance(entries, dict) else [""] if isinstance(entries, list) else None


def _worst_entry(expected: Any, actual: Any) -> tuple[str, Any, Any, float] | None:
    """Return (place, expected, actual, size) of the entry of a list or table that is furthest off, None if none is.

    Lists of other lengths, and tables of other columns, differ as a whole. The last digits of numbers may differ.
    """
    as_a_whole = "", expected, actual, math.inf
    if _columns(actual) != _columns(expected):
        return as_a_whole
    columns, held = ({"": lists} if isinstance(lists, list) else lists for lists in (expected, actual))
    if any(len(held[name]) != len(values) for name, values in columns.items()):
        return as_a_whole
    worst = None
    for name, values in columns.items():
        for index, (wanted, found) in enumerate(zip(values, held[name], strict=True)):
            floats = isinstance(wanted, float) and isinstance(found, float)
            size = 0.0 if wanted == found else _scalar_difference(wanted, found) if floats else math.inf
            if size > RELATIVE and (worst is None or size > worst[-1]):
                worst = f"{'.' * bool(name)}{name}[{index}]", wanted, found, size
    return worst


def _scalar_difference(expected: float, actual: float) -> float:
    """Return how far apart two values are, relative to the expected one; 0 for two NaNs."""
    if expected == actual or (math.isnan(expected) and math.isnan(actual)):
        return 0.0
    if math.isnan(expected) or math.isnan(actual):
        return math.inf
    return abs(expected - actual) / max(abs(expected), SMALL)


def _short(value: Any) -> str:
    """Return a value in one line, cut where it is long; numpy has lines of 75 characters, and one for each row."""
    if isinstance(value, np.ndarray):
        text = " ".join(np.array2string(value, precision=6, threshold=6).split())
    else:
        text = repr(value)
    return text if len(text) <= 200 else text[:197] + "..."
