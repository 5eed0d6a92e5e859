"""Tables of keys, finished when they are read: which keys of a window weigh most, and their entropy.

Keys are listed by weight, the heaviest first, equal ones by key ascending: numbers by size, false before true, texts by
code point, keys of several fields field by field. Weights that are no whole numbers are compared in single precision,
so that the order does not depend on how a sum was rounded.

    share     count / N, N being all events of the window that have a key
    entropy   -sum of p ln p, p being a key's share; in nats; the rest of keys no longer kept counts as one further key

Recent items have count and share at one half-life; counts read before the newest event are as of that event.

All tables of tiles are made at once: their keys are put side by side, list by list (a list is one user's of one table),
and sorted by list and weight. What is sorted stands in the order of keys already, and the sort is stable.

Counts, sums and shares are those of the events kept for the key: see keyed_rows.py for what may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.events import F64, I64, Bool
from user_state.core.keyed_decays import KeyedDecays
from user_state.core.keyed_rows import REST, KeyedRows, text_columns
from user_state.core.keyed_tiles import starts_s_of, tracks_of, users_of
from user_state.core.lazily import cached_property
from user_state.core.nested_windows import shortest_windows, take_over
from user_state.core.ordering import grouped, heaviest, order_of, ordinals_of
from user_state.core.outputs import DecayedTableOutput, EntropyOutput, TableOutput
from user_state.core.padding import Padded, pad
from user_state.core.pieces import Window
from user_state.core.plan import Plan
from user_state.core.pool import StringPool
from user_state.core.ragged import elements_of

Kinds = tuple[tuple[str, ...], ...]
Numbers = npt.NDArray[Any]


@dataclass(frozen=True)
class KeyTotals:
    """What each key of each user and track comes to in windows; by track, user and key.

    Attributes:
        user, track: (g,) whose.
        keys: (columns, g).
        rest: (g,) whether it is the rest of keys no longer kept.
        place: window -> its index below.
        count: (windows, g) events.
        sums: (windows, g) sums of the track's field; zeros if no track sums any.
    """

    user: I64
    track: I64
    keys: I64
    rest: Bool
    place: dict[Window, int]
    count: I64
    sums: F64

    @cached_property
    def _ends(self) -> list[int]:
        return list(np.cumsum(np.bincount(self.track)).tolist())

    def of_track(self, track: int) -> slice:
        """Return where the track's keys are."""
        ends = self._ends
        return slice(ends[track - 1] if track else 0, ends[track]) if track < len(ends) else slice(0, 0)


def total_by_key(rows: KeyedRows, starts_s: dict[Window, int], kinds_of: Kinds, pool: StringPool) -> KeyTotals:
    """Return what the rows of each window come to, given the first second of each window.

    Args:
        rows: keyed tiles.
        starts_s: by window.
        kinds_of: the kinds of the columns of each track's keys.
        pool: what string codes stand for.
    """
    user, track = users_of(rows.group), tracks_of(rows.group)
    order, heads, key = grouped((track, user, *_in_order_of_keys(rows, track, kinds_of, pool)))
    first = order[heads]
    windows = sorted(starts_s, key=starts_s.__getitem__)
    # A row counts in the shortest window that it lies in, and so in all longer ones.
    shortest = shortest_windows(np.array([starts_s[window] for window in windows]), starts_s_of(rows.group[order]))
    inside = shortest >= 0
    cell = (shortest * len(heads) + key)[inside]
    order = order[inside]
    count = _from_shortest(cell, rows.weight[order].astype(np.float64), len(windows), len(heads)).astype(np.int64)
    sums = np.zeros(count.shape)
    if len(rows.sums):
        sums = _from_shortest(cell, rows.sums[0, order], len(windows), len(heads))
    keys = rows.keys.take(first, axis=1)
    place = {window: index for index, window in enumerate(windows)}
    return KeyTotals(user[first], track[first], keys, keys[0] == REST, place, count, sums)


def _from_shortest(cell: I64, numbers: F64, windows: int, keys: int) -> F64:
    """Return (windows, keys) sums, where each number counts in its window and in all longer ones, which come before."""
    with np.errstate(over="ignore", invalid="ignore"):
        held = np.bincount(cell, numbers, windows * keys).astype(np.float64).reshape(windows, keys)
        return np.asarray(take_over(held), np.float64)


def _in_order_of_keys(rows: KeyedRows, track: I64, kinds_of: Kinds, pool: StringPool) -> I64:
    """Return (columns, m) numbers that order as the keys do, a rest's first: codes by what they stand for."""
    keys, rest = rows.keys, rows.rest
    if rest.any():
        # Next to the others, so that keys span no more than they must.
        keys = np.where(rest, keys.min(axis=1, initial=0, where=~rest, keepdims=True) - 1, keys)
    texts = text_columns(kinds_of)
    if pool.ascending or not texts.any() or len(rows) == 0:
        return keys
    chosen = texts[:, track] & ~rest
    codes, which = np.unique(keys[chosen], return_inverse=True)
    held = pool.objects[codes].tolist()
    rank = np.empty(len(held), np.int64)
    rank[sorted(range(len(held)), key=held.__getitem__)] = np.arange(len(held))
    ranked = keys.copy()
    ranked[chosen] = rank[which]
    return ranked


def read_entropy(totals: KeyTotals, output: EntropyOutput, users: int) -> F64:
    """Return (n,) the entropy of the counts by key; `output.empty` for users without any."""
    mine = totals.of_track(output.track)
    user, count = totals.user[mine], totals.count[totals.place[output.window], mine].astype(np.float64)
    user, count = user[count > 0], count[count > 0]
    total = np.bincount(user, count, users)
    share = count / total[user]
    entropy = np.abs(np.bincount(user, -share * np.log(share), users))
    return np.where(total > 0, entropy, output.empty)


@dataclass(frozen=True)
class _Part:
    """The keys of several tables of all users, by table, user and key.

    Attributes:
        of_list: (m,) the table's index here x users + the user.
        keys: (columns, g) of all keys of one kind.
        rows: (m,) which of `keys` are listed.
        weight: (m,) what keys are listed by, as whole numbers that order in the same way.
        numbers: name -> (numbers (m,), their kind): what may stand beside the keys.
    """

    of_list: I64
    keys: I64
    rows: I64
    weight: I64
    numbers: dict[str, tuple[Numbers, str]]

    def take(self, rows: I64) -> _Part:
        """Return the chosen rows, with the keys of each."""
        keys = self.keys.take(self.rows[rows], axis=1)
        numbers = {name: (values[rows], kind) for name, (values, kind) in self.numbers.items()}
        return _Part(self.of_list[rows], keys, np.arange(len(rows)), self.weight[rows], numbers)


def read_tables(
    plan: Plan,
    outputs: Sequence[TableOutput | DecayedTableOutput],
    totals: KeyTotals,
    decays: KeyedDecays,
    at_us: int,
    pool: StringPool,
) -> dict[str, Padded]:
    """Return tables of n users at `at_us` by name, or the heaviest keys alone.

    Args:
        plan: has the tracks.
        outputs: the tables.
        totals: of the keyed tiles.
        decays: of all users.
        at_us: the reading time.
        pool: what string codes stand for.
    """
    users = len(decays.time_us)
    tables: dict[str, Padded] = {}
    tiled = [output for output in outputs if isinstance(output, TableOutput)]
    if tiled:
        fields = [plan.keyed_tracks[output.track].by for output in tiled]
        tables |= _list(plan, tiled, fields, _part_of_tiles(totals, tiled, users), users, pool)
    decayed = [output for output in outputs if isinstance(output, DecayedTableOutput)]
    if decayed:
        ordered = _by_key(decays, plan.layout.keyed_decay_kinds, pool)
        for one in decayed:
            by = plan.keyed_decays[one.decay].by
            tables |= _list(plan, [one], [by], _part_of_decays(plan, ordered, one, at_us), users, pool)
    return tables


def _list(
    plan: Plan,
    outputs: Sequence[TableOutput | DecayedTableOutput],
    fields: Sequence[Sequence[int]],
    part: _Part,
    users: int,
    pool: StringPool,
) -> dict[str, Padded]:
    """Return the tables of a part by name; `fields` are what the keys of each are of."""
    most = np.repeat([output.k for output in outputs], users)
    row, place = heaviest(part.of_list, part.weight, most)
    part = part.take(row)
    ends = np.searchsorted(part.of_list, users * np.arange(1, len(outputs) + 1)).tolist()
    tables = {}
    for index, (output, by, begin, end) in enumerate(zip(outputs, fields, [0, *ends], ends, strict=False)):
        mine = slice(begin, end)
        columns = {
            plan.fields[field].name: (part.keys[column, mine], plan.fields[field].kind)
            for column, field in enumerate(by)
        }
        shown = [output.shown] if isinstance(output, TableOutput) else list(part.numbers)
        for name in filter(None, shown):
            values, kind = part.numbers[name]
            columns[name] = values[mine], kind
        user = part.of_list[mine] - users * index
        tables[output.name] = pad(
            user, place[mine], users=users, width=output.k, columns=columns, pool=pool, single=len(columns) == 1
        )
    return tables


def _part_of_tiles(totals: KeyTotals, outputs: Sequence[TableOutput], users: int) -> _Part:
    tracks = [totals.of_track(output.track) for output in outputs]
    begins, ends = np.array([[track.start, track.stop] for track in tracks], np.int64).T
    sizes = ends - begins
    key = elements_of(begins, sizes)
    window = np.array([totals.place[output.window] for output in outputs], np.int64)
    cell = key + np.repeat(window * len(totals.user), sizes)
    n = totals.count.reshape(-1)[cell]
    of_list = totals.user[key] + np.repeat(np.arange(len(outputs)) * users, sizes)
    total = np.bincount(of_list, n, len(outputs) * users)
    rows = ((n > 0) & ~totals.rest[key]).nonzero()[0]
    key, cell, n, of_list = key[rows], cell[rows], n[rows], of_list[rows]
    needed = {name for output in outputs for name in (output.shown, output.measure)}
    numbers: dict[str, tuple[Numbers, str]] = {"count": (n, "int")}
    if "share" in needed:
        numbers["share"] = n / total[of_list], "float"
    if needed & {"sum", "mean"}:
        sums = totals.sums.reshape(-1)[cell]
        with np.errstate(over="ignore", invalid="ignore"):
            numbers |= {"sum": (sums, "float"), "mean": (sums / n, "float")}
    weight = n
    for measure in sorted({output.measure for output in outputs} - {"count"}):
        measured = np.array([output.measure == measure for output in outputs])[of_list // users]
        weight = np.where(measured, ordinals_of(numbers[measure][0]), weight)
    return _Part(of_list, totals.keys, key, weight, numbers)


def _part_of_decays(plan: Plan, part: KeyedDecays, output: DecayedTableOutput, at_us: int) -> _Part:
    decay = plan.keyed_decays[output.decay]
    of_track = part.track == output.decay
    rows = (of_track & ~part.rows.rest).nonzero()[0]
    user, weight = part.user[rows], part.rows.weight[rows]
    age_us = at_us - part.time_us[user, output.decay]
    numbers: dict[str, tuple[Numbers, str]] = {}
    if output.share:
        age_us = np.maximum(age_us, 0)
        total = np.bincount(part.user[of_track], part.rows.weight[of_track], len(part.time_us))
        numbers["share"] = (weight / total[user], "float")
    with np.errstate(over="ignore", invalid="ignore"):
        counts = weight * np.exp2(-age_us / decay.half_life_us)
    numbers = {"count": (counts, "float"), **numbers}
    return _Part(user, part.rows.keys, rows, ordinals_of(weight), numbers)


def _by_key(part: KeyedDecays, kinds_of: Kinds, pool: StringPool) -> KeyedDecays:
    """Return the decayed counts with each group's rows in the order of their keys."""
    columns = (part.rows.group, *_in_order_of_keys(part.rows, part.track, kinds_of, pool))
    return KeyedDecays(part.time_us, part.rows.take(order_of(columns)))
