"""Compiled inner loops: see docs/design/native.md."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from user_state.core.events import I64, Events
from user_state.core.plan import Plan

class Folder:
    def __init__(self, plan: Plan, marker: bytes, blanks: Sequence[bytes], unite: Callable[..., Any]) -> None: ...
    def heads(self, blobs: Sequence[bytes | None]) -> I64 | None: ...
    def fold(
        self, blobs: Sequence[bytes | None], events: Events, horizon_us: I64, versions: Sequence[bytes]
    ) -> list[bytes | None] | None: ...

class Admission:
    def __init__(self, allowed_lateness_us: int, max_clock_skew_us: int, seen_ids_cap: int) -> None: ...
    def admit(
        self, clock_us: I64, horizon_us: I64, seen: Sequence[bytes | None], events: Events
    ) -> tuple[npt.NDArray[np.int8], list[bytes], I64, int] | None: ...
