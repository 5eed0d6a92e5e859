"""A record's dictionary: every string that its other sections point into, once, in order of text.

u4 n | u2 length in bytes x n | UTF-8 x n

A dictionary of no strings has no bytes. Sections name a string by its number in their record's dictionary, from 1 on;
0 is null.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, islice
from operator import lt
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import ends_of, need
from user_state.codec.cut import Cut
from user_state.core.events import I64
from user_state.core.pool import NULL_CODE, StringPool
from user_state.core.ragged import begins_of
from user_state.errors import CodecError

EMPTY = b""
_WORD = 8
_KEPT = np.array([((1 << 64) - 1) >> 8 * n ^ ((1 << 64) - 1) for n in range(_WORD + 1)], np.uint64)
"""By how many bytes of a word belong to a string: a mask of those, the first one on top."""
COUNT_BYTES = 4


@dataclass(frozen=True)
class Dictionaries:
    """The dictionaries of n records, in one pool, one after the other.

    Attributes:
        pool: all their strings.
        begins: (n,) the code of each dictionary's first string.
        sizes: (n,) how many strings each has.
    """

    pool: StringPool
    begins: I64
    sizes: I64

    def codes(self, number: I64, user: I64, what: str) -> I64:
        """Return the pool's codes for (m,) numbers in the dictionaries of users (m,).

        Raises:
            CodecError: a number is none of its dictionary's; `what` names the section.
        """
        if len(number) == 0:
            return number
        known = bool((number <= self.sizes[user]).all())
        need(known, f"{what} name strings that the dictionary does not have")
        return np.where(number == 0, NULL_CODE, self.begins[user] + number - 1)


def unpack_strings(blobs: Sequence[bytes]) -> Dictionaries:
    """Return the dictionaries of n records."""
    cut = Cut(blobs, "dictionaries")
    sizes = cut.head("<u4", optional=True).astype(np.int64)
    need(bool(((sizes > 0) == (cut.lengths > 0)).all()), "dictionary holds nothing")
    lengths = cut.fixed("<u2", sizes)
    user = np.repeat(np.arange(len(blobs)), sizes)
    need(np.array_equal(np.bincount(user, lengths, len(blobs)), cut.left), "dictionary has another length than it says")
    bodies = [blob[body:] for blob, body in zip(blobs, (COUNT_BYTES + 2 * sizes).tolist(), strict=True)]
    joined = b"".join(bodies)
    held = lengths.astype(np.int64)
    begins, count = begins_of(sizes), len(held)
    if joined.isascii():
        # Characters are bytes: the strings can be judged, and put in order, without being made.
        need(_ascending(joined, held, begins), "dictionary is not in order")
        return Dictionaries(StringPool.of_records(count, partial(_texts, joined, held)), begins, sizes)
    ends = list(accumulate(held.tolist()))
    texts = [_utf8(joined[end - length : end]) for end, length in zip(ends, held.tolist(), strict=True)]
    later = np.fromiter(map(lt, texts, islice(texts, 1, None)), np.bool_, count - 1)
    later[begins[(begins > 0) & (begins < count)] - 1] = True
    # A string that stood there twice would make one key of two.
    need(bool(later.all()), "dictionary is not in order")
    return Dictionaries(StringPool.of_records(count, lambda: texts), begins, sizes)


def _texts(joined: bytes, lengths: I64) -> list[str]:
    text, listed = joined.decode("ascii"), lengths.tolist()
    return [text[end - length : end] for end, length in zip(accumulate(listed), listed, strict=True)]


def _ascending(joined: bytes, lengths: I64, begins: I64) -> bool:
    """Return whether every string is greater than the one before it in its dictionary.

    Two strings are told apart by their first 16 bytes, as two numbers; only those that begin alike are looked at.

    Args:
        joined: ASCII.
        lengths: (m,) of the strings in it, one after the other.
        begins: (n,) the first string of each dictionary.
    """
    if len(lengths) < 2:
        return True
    ends = np.cumsum(lengths)
    starts = ends - lengths
    padded = joined + bytes(2 * _WORD)
    words: npt.NDArray[Any] = np.ndarray(len(padded) - _WORD + 1, ">u8", padded, strides=(1,))
    first, second = (words[starts + at].astype(np.uint64) & _KEPT[np.clip(lengths - at, 0, _WORD)] for at in (0, _WORD))
    alike = first[1:] == first[:-1]
    later = (first[1:] > first[:-1]) | (alike & (second[1:] > second[:-1]))
    alike &= second[1:] == second[:-1]
    new = begins[(begins > 0) & (begins < len(lengths))] - 1
    later[new] = True
    alike[new] = False
    for row in np.flatnonzero(alike).tolist():
        before, after = slice(starts[row], ends[row]), slice(starts[row + 1], ends[row + 1])
        later[row] = joined[before] < joined[after]
    return bool(later.all())


def _utf8(blob: bytes) -> str:
    try:
        return blob.decode()
    except UnicodeDecodeError as exc:
        raise CodecError("expected UTF-8 in a record's dictionary") from exc


def pack_strings(columns: Sequence[tuple[I64, I64]], pool: StringPool, users: int) -> tuple[list[bytes], list[I64]]:
    """Return (each user's dictionary, each column's numbers in its users' dictionaries).

    Args:
        columns: (user (m,), code (m,)) of every column of strings that a record has.
        pool: what the codes stand for.
        users: n.
    """
    if not any(len(code) for _, code in columns):
        return [EMPTY] * users, [code for _, code in columns]
    user = np.concatenate([user for user, _ in columns])
    code = np.concatenate([code for _, code in columns])
    present = code != NULL_CODE
    # By text, so that a user's bytes do not depend on who else is in the batch.
    used, which = np.unique(code[present], return_inverse=True)
    texts = pool.texts
    held = [texts[c] for c in used.tolist()]
    by_text = sorted(range(len(held)), key=held.__getitem__)
    rank = np.empty(len(held), np.int64)
    rank[by_text] = np.arange(len(held))
    entries, entry = np.unique((user[present] << 32) | rank[which], return_inverse=True)
    ends = ends_of(entries >> 32, users)
    begins = [0, *ends[:-1]]
    number = np.zeros(len(code), np.int64)
    number[present] = entry - np.array(begins, np.int64)[user[present]] + 1
    words = [held[by_text[r]].encode() for r in (entries & 0xFFFFFFFF).tolist()]
    packed = [_pack(words[begin:end]) for begin, end in zip(begins, ends, strict=True)]
    cuts = np.cumsum([len(code) for _, code in columns])[:-1]
    return packed, np.split(number, cuts)


def _pack(words: Sequence[bytes]) -> bytes:
    if not words:
        return EMPTY
    return struct.pack(f"<I{len(words)}H", len(words), *map(len, words)) + b"".join(words)
