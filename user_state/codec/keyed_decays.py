"""A record's decayed counts by key: which tracks have any, as seen when, and each key's count.

No bytes where there are none; else

    u2 tracks held P
    u1 width x 5, of the columns marked w (narrow.py)
    w track x P, ascending
    w keys x P                        R keys in all
    w 1 if there is a rest, else 0, x P
    w texts, w numbers of the keys    see keys.py
    i8 reference time in microseconds x P
    f8 count x R
    f8 count x rests

A layout without keyed decays has no bytes here.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from user_state.codec.columns import ends_of, need
from user_state.codec.cut import Cut
from user_state.codec.keys import ascending, columns_of, key_numbers, key_strings, keys_of, slots_of
from user_state.codec.narrow import pack_narrow
from user_state.codec.strings import Dictionaries
from user_state.core.events import I64
from user_state.core.keyed_decays import KeyedDecays
from user_state.core.keyed_rows import REST, KeyedRows, side_by_side
from user_state.core.layout import Layout
from user_state.core.tiles import MAX_TRACKS, TRACK_BITS

HEAD = struct.Struct("<H5B")
_HEAD_COLUMNS = np.dtype([("tracks", "<u2"), ("widths", "u1", (5,))])
MOST_KEYS = 1 << 14


def keyed_decay_strings(part: KeyedDecays, layout: Layout) -> list[tuple[I64, I64]]:
    """Return (user, code) of every column of strings that keys have."""
    if not layout.keyed_decays:
        return []
    return key_strings(part.user, part.track, part.rows.keys, part.rows.rest, layout.keyed_decay_kinds)


def pack_keyed_decays(part: KeyedDecays, layout: Layout, string_numbers: Sequence[I64], users: int) -> list[bytes]:
    """Return each user's packed counts; `string_numbers` as `keyed_decay_strings` gave the columns."""
    if not part.time_us.any():
        return [b""] * users
    rows, rest = part.rows, part.rows.rest
    numbers = key_numbers(part.track, rows.keys, rest, layout.keyed_decay_kinds, string_numbers)
    order = np.lexsort((*numbers[::-1], rest, rows.group))
    rows, numbers, rest = rows.take(order), numbers[:, order], rest[order]
    kept, rests, numbers = rows.take(~rest), rows.take(rest), numbers[:, ~rest]
    kept_user = kept.group >> TRACK_BITS
    texts, others = (
        slots_of(kept_user, kept.group & (MAX_TRACKS - 1), held) for held in columns_of(layout.keyed_decay_kinds)
    )
    user, track = np.nonzero(part.time_us)
    held = user << TRACK_BITS | track
    columns = [
        pack_narrow(values, np.bincount(of_user, minlength=users))
        for values, of_user in (
            (track, user),
            (np.bincount(np.searchsorted(held, kept.group), minlength=len(held)), user),
            (np.isin(held, rests.group).astype(np.int64), user),
            (numbers[texts], kept_user[texts[1]]),
            (numbers[others], kept_user[others[1]]),
        )
    ]
    widths = list(zip(*(widths for widths, _ in columns), strict=True))
    cells = list(zip(*(packed for _, packed in columns), strict=True))
    times = part.time_us[user, track].astype("<i8").tobytes()
    counts, left = kept.weight.astype("<f8").tobytes(), rests.weight.astype("<f8").tobytes()
    ends = zip(*(ends_of(of, users) for of in (user, kept_user, rests.group >> TRACK_BITS)), strict=True)
    packed = []
    p0 = r0 = v0 = 0
    for (p, r, v), of_user, narrow in zip(ends, widths, cells, strict=True):
        fixed = (times[8 * p0 : 8 * p], counts[8 * r0 : 8 * r], left[8 * v0 : 8 * v])
        packed.append(b"".join((HEAD.pack(p - p0, *of_user), *narrow, *fixed)) if p > p0 else b"")
        p0, r0, v0 = p, r, v
    return packed


def unpack_keyed_decays(blobs: Sequence[bytes], layout: Layout, dictionaries: Dictionaries) -> KeyedDecays:
    """Return the decayed counts of n records, user i being blob i."""
    kinds_of, users = layout.keyed_decay_kinds, len(blobs)
    part = KeyedDecays.empty(users, kinds_of)
    if not any(blobs):
        return part
    need(bool(kinds_of), "keyed decays belong to no track")
    cut = Cut(blobs, "keyed decays")
    head = cut.head(_HEAD_COLUMNS, optional=True)
    count, widths = head["tracks"].astype(np.int64), head["widths"].astype(np.int64).T
    need(bool(((count > 0) == (cut.lengths > 0)).all()), "keyed decays hold nothing")
    held, keys, marks = (cut.narrow(width, count) for width in widths[:3])
    need(bool((held < len(kinds_of)).all()), "keyed decays name a track that the layout does not have")
    need(bool((keys <= MOST_KEYS).all() and (marks <= 1).all()), "keyed decays have numbers out of range")
    of_user = np.repeat(np.arange(users), count)
    need(bool((np.bincount(of_user, keys.astype(np.int64), users) <= cut.lengths).all()), "keyed decays are cut off")
    held_group = of_user << TRACK_BITS | held.astype(np.int64)
    need(bool((held_group[1:] > held_group[:-1]).all()), "keyed decays are not in order")
    group = np.repeat(held_group, keys.astype(np.int64))
    user, track = group >> TRACK_BITS, group & (MAX_TRACKS - 1)
    numbers = np.zeros((len(part.rows.keys), len(group)), np.uint64)
    slots_by_column = [slots_of(user, track, of) for of in columns_of(kinds_of)]
    for slots, width in zip(slots_by_column, widths[3:], strict=True):
        numbers[slots] = cut.narrow(width, np.bincount(user[slots[1]], minlength=users))
    need(bool(ascending(group, numbers).all()), "keyed decays have keys that are not in order")
    left_group = held_group[marks > 0]
    time_us = cut.fixed("<i8", count)
    need(bool(((time_us > 0) & (time_us < 2**62)).all()), "keyed decays have times out of range")
    counts = cut.fixed("<f8", np.bincount(user, minlength=users))
    left = cut.fixed("<f8", np.bincount(left_group >> TRACK_BITS, minlength=users))
    need(bool((counts > 0).all() and (left > 0).all()), "keyed decays have keys that hold nothing")
    cut.end()
    part.time_us[of_user, held.astype(np.int64)] = time_us
    found = keys_of(numbers, user, track, kinds_of, dictionaries, "keyed decays")
    no_key = np.full((len(found), len(left)), REST)
    none = np.empty((0, len(group))), np.empty((0, len(left)))
    rows = side_by_side([KeyedRows(group, found, counts, none[0]), KeyedRows(left_group, no_key, left, none[1])])
    return KeyedDecays(part.time_us, rows.take(np.argsort(rows.group, kind="stable")))
