"""Decoding many users' bytes when some may be damaged: one user's must not cost the others theirs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from user_state.errors import CodecError

T = TypeVar("T")


def decode_sound(
    decode: Callable[[Sequence[bytes | None]], T], blobs: Sequence[bytes | None]
) -> tuple[T, dict[int, str]]:
    """Return (what n users' bytes say, what was wrong by user); bytes that make no sense are taken for none.

    Args:
        decode: raises CodecError if any of the bytes make no sense, and takes None for a user without any.
        blobs: n users' bytes.
    """
    try:
        return decode(blobs), {}
    except CodecError:
        sound = list(blobs)
        broken: dict[int, str] = {}
        for index, blob in enumerate(blobs):
            try:
                decode([blob])
            except CodecError as exc:
                broken[index] = str(exc)
                sound[index] = None
        return decode(sound), broken
