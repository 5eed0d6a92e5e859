"""What the packed columns have in common: cutting, checking, and where each user's rows end.

All integers are little-endian, columns stand one after the other without padding. Packing and unpacking work on one
record's bytes where they slice and on all records at once where they compute: one numpy call a column, not one Python
object a value. Unpacking raises CodecError for anything that is not exactly what packing writes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.errors import CodecError, RecordTooLarge


def column(parts: list[bytes], dtype: str) -> npt.NDArray[Any]:
    """Return the joined parts as one array."""
    return np.frombuffer(b"".join(parts), dtype)


def need(held: bool, what: str) -> None:
    """Refuse bytes for which something does not hold.

    Raises:
        CodecError: always, unless `held`.
    """
    if not held:
        raise CodecError(f"expected a record's packed columns, got bytes whose {what}")


def need_room(held: int, most: int, what: str) -> None:
    """Refuse to pack more of something than its count can say.

    Raises:
        RecordTooLarge: `held` is more than `most`.
    """
    if held > most:
        raise RecordTooLarge(f"expected a record of at most {most:,} {what}, got {held:,}")


def ends_of(user: npt.NDArray[np.int64], users: int) -> list[int]:
    """Return for each user the position after their last row, rows being grouped by ascending user.

    >>> ends_of(np.array([0, 0, 2]), 3)
    [2, 2, 3]
    """
    ends: list[int] = np.searchsorted(user, np.arange(users), side="right").tolist()
    return ends
