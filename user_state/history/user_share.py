"""A share of users, the same ones wherever it is asked for: those whose ids' xxh64 has a small upper half."""

from __future__ import annotations

import math

from user_state.errors import InputError

_HALF = 1 << 32
_WHOLE = 100


def parsed_share(text: str) -> float:
    """Return a share as people write it: `1%` and `0.01` are the same.

    Raises:
        InputError: it is no number.

    >>> parsed_share("1%"), parsed_share("0.5")
    (0.01, 0.5)
    """
    try:
        return float(text.removesuffix("%")) / (_WHOLE if text.endswith("%") else 1)
    except ValueError:
        raise InputError(f"expected a share of users such as 1%, got {text!r}") from None


def check_share(share: float) -> None:
    """Raise InputError unless it is above 0 and up to 1."""
    if not 0 < share <= 1:
        raise InputError(f"expected a share of users above 0 % and up to 100 %, got {share:%}")


def below(share: float) -> int:
    """Return what the upper 32 bits of the hashes of a share's users are below."""
    return math.ceil(share * _HALF)
