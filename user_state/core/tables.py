"""Tables of keys, finished when they are read: which keys of a window weigh most, and their entropy.

Keys are listed by weight, the heaviest first, equal ones by key ascending: numbers by size, false before true, texts by
code point, keys of several fields field by field. Weights that are no whole numbers are compared in single precision,
so that the order does not depend on how a sum was rounded.

    share     count / N, N being all events of the window that have a key
    entropy   -sum of p ln p, p being a key's share; in nats; the rest of keys no longer kept counts as one further key

Recent items have count and share at one half-life; counts read before the newest event are as of that event.

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
from user_state.core.keyed_rows import REST, KeyedRows
from user_state.core.keyed_tiles import starts_s_of, tracks_of, users_of
from user_state.core.padding import Padded, pad
from user_state.core.plan import DecayedTableOutput, EntropyOutput, Field, Plan, TableOutput, Window

Texts = npt.NDArray[Any]


@dataclass(frozen=True)
class KeyTotals:
    """What each key of each user and track comes to in windows.

    Attributes:
        user, track: (g,) whose, users ascending.
        keys: (columns, g).
        rest: (g,) whether it is the rest of keys no longer kept.
        count: by window, (g,) events.
        sums: by window, (g,) sums of the track's field; zeros if no track sums any.
    """

    user: I64
    track: I64
    keys: I64
    rest: Bool
    count: dict[Window, I64]
    sums: dict[Window, F64]


def total_by_key(rows: KeyedRows, starts_s: dict[Window, int]) -> KeyTotals:
    """Return what the rows of each window come to, given the first second of each window."""
    user, track, start_s = users_of(rows.group), tracks_of(rows.group), starts_s_of(rows.group)
    order = np.lexsort((*rows.keys[::-1], track, user)) if len(rows) else np.empty(0, np.int64)
    user, track, keys, start_s = user[order], track[order], rows.keys[:, order], start_s[order]
    new = np.ones(len(order), np.bool_)
    new[1:] = (user[1:] != user[:-1]) | (track[1:] != track[:-1]) | (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    heads, key = np.flatnonzero(new), np.cumsum(new) - 1
    weight = rows.weight[order].astype(np.float64)
    values = rows.sums[0, order] if len(rows.sums) else np.zeros(len(order))
    count, sums = {}, {}
    with np.errstate(over="ignore", invalid="ignore"):
        for window, first_s in starts_s.items():
            inside = start_s >= first_s
            count[window] = np.bincount(key[inside], weight[inside], len(heads)).astype(np.int64)
            # Of no rows at all numpy makes whole numbers, weights or not.
            sums[window] = np.bincount(key[inside], values[inside], len(heads)).astype(np.float64)
    keys = keys[:, heads]
    return KeyTotals(user[heads], track[heads], keys, keys[0] == REST, count, sums)


def read_table(plan: Plan, totals: KeyTotals, output: TableOutput, users: int, texts: Texts) -> Padded:
    """Return a table, or the heaviest keys alone, for n users; `texts` as for `pad`."""
    fields = [plan.fields[field] for field in plan.keyed_tracks[output.track].by]
    of_track = totals.track == output.track
    count = totals.count[output.window]
    rows = np.flatnonzero(of_track & (count > 0) & ~totals.rest)
    user, keys, sums = totals.user[rows], totals.keys[: len(fields), rows], totals.sums[output.window][rows]
    n = count[rows]
    total = np.bincount(totals.user[of_track], count[of_track], users)
    with np.errstate(over="ignore", invalid="ignore"):
        values = {
            "count": (n, "int"),
            "sum": (sums, "float"),
            "mean": (sums / n, "float"),
            "share": (n / total[user], "float"),
        }
        weight = n if output.measure == "count" else values[output.measure][0].astype(np.float32)
    numbers = {output.shown: values[output.shown]} if output.shown else {}
    return _listed(user, keys, weight, numbers, fields, output.k, users, texts)


def read_entropy(totals: KeyTotals, output: EntropyOutput, users: int) -> F64:
    """Return (n,) the entropy of the counts by key; `output.empty` for users without any."""
    rows = np.flatnonzero((totals.track == output.track) & (totals.count[output.window] > 0))
    user, count = totals.user[rows], totals.count[output.window][rows].astype(np.float64)
    total = np.bincount(user, count, users)
    share = count / total[user]
    entropy = np.abs(np.bincount(user, -share * np.log(share), users))
    return np.where(total > 0, entropy, output.empty)


def read_decayed_table(plan: Plan, part: KeyedDecays, output: DecayedTableOutput, at_us: int, texts: Texts) -> Padded:
    """Return a table of decayed counts for n users; `texts` as for `pad`."""
    decay = plan.keyed_decays[output.decay]
    fields = [plan.fields[field] for field in decay.by]
    rows = np.flatnonzero((part.track == output.decay) & ~part.rows.rest)
    user, weight = part.user[rows], part.rows.weight[rows]
    keys, users = part.rows.keys[: len(fields), rows], len(part.time_us)
    age_us = at_us - part.time_us[user, output.decay]
    numbers = {}
    if output.share:
        age_us = np.maximum(age_us, 0)
        of_track = part.track == output.decay
        total = np.bincount(part.user[of_track], part.rows.weight[of_track], users)
        numbers["share"] = (weight / total[user], "float")
    with np.errstate(over="ignore", invalid="ignore"):
        counts = weight * np.exp2(-age_us / decay.half_life_us)
        weight = weight.astype(np.float32)
    return _listed(user, keys, weight, {"count": (counts, "float"), **numbers}, fields, output.k, users, texts)


def _listed(
    user: I64,
    keys: I64,
    weight: npt.NDArray[Any],
    numbers: dict[str, tuple[npt.NDArray[Any], str]],
    fields: Sequence[Field],
    k: int,
    users: int,
    texts: Texts,
) -> Padded:
    """Return each user's `k` heaviest keys.

    Args:
        user: (m,) whose the key is, ascending.
        keys: (fields, m).
        weight: (m,) what keys are listed by.
        numbers: name -> (numbers (m,), their kind) to stand beside the keys; a single field's keys are a plain list
            if there are none.
        fields: what the keys' columns are of.
        k: how many to list at most.
        users: n.
        texts: strings by code.
    """
    heaviest_first = np.lexsort((-weight, user))
    begins = np.searchsorted(user, np.arange(users))
    sizes = np.searchsorted(user, np.arange(users), side="right") - begins
    # Only keys as heavy as the k-th can be listed: of a long tail, few texts have to be compared.
    full = np.flatnonzero(sizes >= k)
    least = np.full(users, -np.inf)
    least[full] = weight[heaviest_first[begins[full] + k - 1]]
    likely = np.flatnonzero(weight >= least[user])
    ranks = [_ranks(keys[index, likely], field, texts) for index, field in enumerate(fields)]
    order = likely[np.lexsort((*ranks[::-1], -weight[likely], user[likely]))]
    place = np.arange(len(order)) - np.searchsorted(user[order], user[order])
    chosen, place = order[place < k], place[place < k]
    columns = {field.name: (keys[index, chosen], field.kind) for index, field in enumerate(fields)}
    columns |= {name: (values[chosen], kind) for name, (values, kind) in numbers.items()}
    return pad(user[chosen], place, users=users, width=k, columns=columns, texts=texts, single=len(columns) == 1)


def _ranks(values: I64, field: Field, texts: Texts) -> I64:
    """Return numbers (m,) that order as the values of a field do."""
    if field.kind != "string":
        return values
    codes, which = np.unique(values, return_inverse=True)
    held = texts[codes].tolist()
    rank = np.empty(len(held), np.int64)
    rank[sorted(range(len(held)), key=held.__getitem__)] = np.arange(len(held))
    return rank[which]
