"""Sizes as people write them (`512KB`, `1MB`) and as the code counts them: in bytes. KB and MB are powers of 1,024."""

from __future__ import annotations

import re

KB = 1 << 10
MB = 1 << 20
_UNIT = {"B": 1, "KB": KB, "MB": MB}
_PATTERN = re.compile(r"([1-9][0-9]{0,9})(B|KB|MB)")


def parse_size(text: str) -> int:
    """Return the size `text` in bytes.

    Raises:
        ValueError: `text` is not a whole number above zero followed by B, KB or MB.

    >>> parse_size("512KB"), parse_size("1MB")
    (524288, 1048576)
    """
    match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"expected a size such as 512KB or 1MB, got {text!r}")
    return int(match[1]) * _UNIT[match[2]]


def format_size(size: int) -> str:
    """Return `size`, in bytes, in the largest unit that divides it.

    >>> format_size(1 << 20), format_size(1536 << 10), format_size(1000)
    ('1MB', '1536KB', '1000B')
    """
    for unit in ("MB", "KB"):
        if size and size % _UNIT[unit] == 0:
            return f"{size // _UNIT[unit]}{unit}"
    return f"{size}B"


def round_size(size: int) -> str:
    """Return `size`, in bytes, rounded to what people read.

    >>> round_size(24_012_390), round_size(87_000), round_size(900)
    ('22.9 MB', '85 KB', '900 bytes')
    """
    if size >= MB:
        return f"{size / MB:,.1f} MB"
    return f"{size / KB:,.0f} KB" if size >= KB else f"{size:,} bytes"
