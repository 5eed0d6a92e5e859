"""Durations as people write them (`30s`, `10m`, `1h`, `7d`) and as the code counts them (microseconds)."""

from __future__ import annotations

import re

SECOND_US = 1_000_000
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PATTERN = re.compile(r"([1-9][0-9]{0,9})([smhd])")


def parse_duration_us(text: str) -> int:
    """Return the duration `text` in microseconds.

    Raises:
        ValueError: `text` is not a whole number above zero followed by s, m, h or d.

    >>> parse_duration_us("10m")
    600000000
    """
    match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"expected a duration such as 30s, 10m, 1h or 7d, got {text!r}")
    return int(match[1]) * _UNIT_S[match[2]] * SECOND_US


def format_duration(duration_us: int) -> str:
    """Return `duration_us` in the largest unit that divides it.

    >>> format_duration(5_400_000_000), format_duration(172_800_000_000)
    ('90m', '2d')
    """
    seconds, rest = divmod(duration_us, SECOND_US)
    if rest:
        return f"{duration_us}us"
    for unit in "dhm":
        if seconds and seconds % _UNIT_S[unit] == 0:
            return f"{seconds // _UNIT_S[unit]}{unit}"
    return f"{seconds}s"
