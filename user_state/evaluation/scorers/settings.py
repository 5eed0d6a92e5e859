"""Lists in a scorer's settings, written with a plus between: `1m+10m+1h`."""

from __future__ import annotations

import numpy as np

from user_state.durations import parse_duration_us
from user_state.errors import InputError
from user_state.evaluation.interactions import I64


def durations_us(text: str) -> I64:
    """Return the durations in `text`, microseconds.

    Raises:
        InputError: one of them is none.

    >>> durations_us("1m+2h").tolist()
    [60000000, 7200000000]
    """
    try:
        return np.array([parse_duration_us(part) for part in text.split("+")], np.int64)
    except ValueError as exc:
        raise InputError(f"expected durations such as 1m+10m+1h, got {text!r}") from exc


def numbers(text: str) -> list[float]:
    """Return the positive numbers in `text`.

    Raises:
        InputError: one of them is none.

    >>> numbers("50+5000")
    [50.0, 5000.0]
    """
    try:
        found = [float(part) for part in text.split("+")]
    except ValueError:
        found = [0.0]
    if not all(0 < number < float("inf") for number in found):
        raise InputError(f"expected positive numbers such as 50+5000, got {text!r}")
    return found
