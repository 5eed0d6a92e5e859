"""Which version of a table of item vectors was in use, and since when."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Activation:
    """From `at_us` on, microseconds UTC by the clock of Redis, a version was in use, until the next one."""

    at_us: int
    version: str
