"""Keys of keyed rows as columns: what keyed_tiles.py and keyed_decays.py have in common.

    texts      a string's number in the dictionary a key and field of strings
    numbers    an int, zigzag (0, -1, 1, -2 as 0, 1, 2, 3), or a bool as 0 or 1, a key and other field

Both are narrow columns (narrow.py): those of all first fields, row by row, then those of all second fields, then those
of all third ones. Keys of one group ascend, field by field, as these numbers. A rest has no key, and is no row here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import need
from user_state.codec.narrow import U64, folded, unfolded
from user_state.codec.strings import Dictionaries
from user_state.core.events import I64, NULL_INT, Bool
from user_state.core.keyed_rows import height_of, text_columns

Kinds = tuple[tuple[str, ...], ...]
Slots = tuple[I64, I64]
"""(column, row) of each number, in the order in which a section holds them."""


@lru_cache(maxsize=256)
def columns_of(kinds_of: Kinds) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return (is it of strings, is it of numbers), each (columns, tracks), for the columns of each track's keys."""
    texts = text_columns(kinds_of)
    used = np.arange(height_of(kinds_of))[:, None] < np.array([len(kinds) for kinds in kinds_of], np.int64)
    return texts, used & ~texts


def slots_of(user: I64, track: I64, held: npt.NDArray[np.bool_]) -> Slots:
    """Return where the numbers of a section's column belong.

    Args:
        user: (m,) each row's user, ascending.
        track: (m,) each row's track.
        held: (columns, tracks) what the section's column holds.
    """
    if not held.any():
        return track[:0], track[:0]
    column, row = np.nonzero(held[:, track])
    if len(held) == 1:
        return column, row
    order = np.argsort(user[row], kind="stable")
    return column[order], row[order]


def key_strings(user: I64, track: I64, keys: I64, rest: Bool, kinds_of: Kinds) -> list[tuple[I64, I64]]:
    """Return (user, code) of every column of strings, rows in the order they have."""
    texts = text_columns(kinds_of)
    found = []
    for column, of_track in zip(keys, texts, strict=True):
        rows = np.flatnonzero(of_track[track] & ~rest)
        found.append((user[rows], column[rows]))
    return found


def key_numbers(track: I64, keys: I64, rest: Bool, kinds_of: Kinds, string_numbers: Sequence[I64]) -> U64:
    """Return (columns, m) keys as sections hold them, 0 where they hold none; `string_numbers` as of `key_strings`."""
    texts, others = columns_of(kinds_of)
    numbers = np.zeros(keys.shape, np.uint64)
    for column, of_strings in enumerate(string_numbers):
        numbers[column, texts[column][track] & ~rest] = of_strings
        rows = others[column][track] & ~rest
        numbers[column, rows] = folded(keys[column, rows])
    return numbers


def keys_of(numbers: U64, user: I64, track: I64, kinds_of: Kinds, dictionaries: Dictionaries, what: str) -> I64:
    """Return (columns, m) the keys that `key_numbers` made numbers of.

    Raises:
        CodecError: a number stands for no key; `what` names the section.
    """
    texts, others = columns_of(kinds_of)
    keys = np.zeros(numbers.shape, np.int64)
    for column in range(len(numbers)):
        if texts[column].all():
            keys[column] = _codes(numbers[column], user, dictionaries, what)
        else:
            rows = np.flatnonzero(texts[column][track])
            keys[column, rows] = _codes(numbers[column, rows], user[rows], dictionaries, what)
        if not others[column].any():
            continue
        rows = np.flatnonzero(others[column][track])
        keys[column, rows] = unfolded(numbers[column, rows])
        need(bool((keys[column, rows] != NULL_INT).all()), f"{what} have keys that are null")
    return keys


def _codes(numbers: U64, user: I64, dictionaries: Dictionaries, what: str) -> I64:
    need(bool((numbers - np.uint64(1) < np.uint64(1 << 32)).all()), f"{what} have keys that are null")
    return dictionaries.codes(numbers.astype(np.int64), user, what)


def ascending(group: I64, numbers: U64) -> Bool:
    """Return (m - 1,) whether each row but the first is of another group than the one before it, or of a later key."""
    later = np.asarray(group[1:] != group[:-1], np.bool_)
    same = ~later
    for column in numbers:
        later |= same & (column[1:] > column[:-1])
        same &= column[1:] == column[:-1]
    return later
