"""Parts that a record may lack: u1 present, then, if it is 1, columns of fixed sizes.

Shared by vectors.py and decays.py, which say what the columns are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import need
from user_state.codec.cut import Cut
from user_state.core.events import I64

PRESENT, ABSENT = b"\1", b"\0"


def cut_part(cut: Cut, columns: Sequence[tuple[str, int]], what: str) -> tuple[I64, list[npt.NDArray[Any]]]:
    """Return (the users who have the part, for each of its columns their numbers).

    Args:
        cut: sections whose next bytes are the part.
        columns: dtype, and how many numbers a user has.
        what: the section's name, for errors.

    Raises:
        CodecError: a section ends early, or its mark is neither 0 nor 1.
    """
    marks = cut.fixed("u1", np.ones(len(cut.lengths), np.int64)).astype(np.int64)
    need(bool((marks <= 1).all()), f"{what} are marked neither present nor absent")
    return np.flatnonzero(marks), [cut.fixed(dtype, marks * size) for dtype, size in columns]


def add_part(parts_of: list[list[bytes]], present: Sequence[bool], columns: Sequence[tuple[bytes, int]]) -> None:
    """Append the part to what each user has: from each of `columns`, (all users' bytes, size a user), their own."""
    for user, held in enumerate(present):
        if held:
            parts_of[user].append(PRESENT)
            parts_of[user] += [joined[size * user : size * (user + 1)] for joined, size in columns]
        else:
            parts_of[user].append(ABSENT)
