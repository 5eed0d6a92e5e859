"""Reading many numbers from tiles: all of one aggregation at once, whatever their windows and tracks.

Which cells of the window sums each number needs is settled by the plan, so it is worked out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from user_state.core.events import F64, I64
from user_state.core.finishing import finish
from user_state.core.outputs import ScalarOutput
from user_state.core.plan import Plan
from user_state.core.tile_kinds import TRACK_COLUMNS, TRACK_OF
from user_state.core.window_sums import WindowSums


@dataclass(frozen=True)
class Alike:
    """Outputs of one aggregation.

    Attributes:
        aggregate: which.
        column: (k,) where their values go.
        window: (k,) index into `plan.tiled_windows`.
        track: (k,) index into `plan.tracks`.
        empty: (k,) their values over nothing.
    """

    aggregate: str
    column: I64
    window: I64
    track: I64
    empty: F64


def alike(plan: Plan, outputs: Sequence[ScalarOutput]) -> tuple[Alike, ...]:
    """Return the outputs by aggregation."""
    place = {window: index for index, window in enumerate(plan.tiled_windows)}
    by_aggregate: dict[str, list[tuple[int, ScalarOutput]]] = {}
    for column, output in enumerate(outputs):
        by_aggregate.setdefault(output.aggregate, []).append((column, output))
    return tuple(
        Alike(
            aggregate,
            np.array([column for column, _ in held], np.int64),
            np.array([place[output.window] for _, output in held], np.int64),
            np.array([output.track for _, output in held], np.int64),
            np.array([output.empty for _, output in held]),
        )
        for aggregate, held in by_aggregate.items()
    )


def fill(groups: Sequence[Alike], sums: WindowSums, place: I64, at_us: int, values: F64) -> None:
    """Fill (n, outputs) with numbers read at `at_us`; `place` says which of the sums each of the windows is."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for group in groups:
            window, track = place[group.window], group.track
            columns = TRACK_COLUMNS[TRACK_OF[group.aggregate]]
            count, numbers = sums.count[window, :, track].T, sums.values[:columns, window, :, track].transpose(1, 2, 0)
            values[:, group.column] = finish(group.aggregate, count, numbers, at_us, group.empty)
