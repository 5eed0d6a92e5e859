"""The numbers a tile holds beside its count, by kind of track, and how those of several tiles become one's.

    kind       columns            joined by
    count
    sum        sum                adding
    log_sum    sum of logarithms  adding; minus infinity with a zero, no number with a negative value
    min, max   min / max          taking the smaller / larger
    times      first, last        taking the earlier / later; event times in microseconds, exact in a double
    variance   sum, M2            M2 = sum of (M2_i + n_i d_i^2)
    moments    sum, M2, M3, M4    M3 = sum of (M3_i + 3 d_i M2_i + n_i d_i^3)
                                  M4 = sum of (M4_i + 4 d_i M3_i + 6 d_i^2 M2_i + n_i d_i^4)

M_p are central moments times n, n_i a part's count, d_i its mean less the mean of the whole. Working with
differences of means keeps the digits that sums of squares lose; any number of parts is joined in one step.

Source: Pebay, "Formulas for Robust, One-Pass Parallel Computation of Covariances and Arbitrary-Order Statistical
Moments", SAND2008-6212, 2008; the pairwise form, Chan, Golub, LeVeque, "Updating Formulae", 1979, for M2.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from user_state.core.tile_kinds import TRACK_COLUMNS

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
SMALLEST, LARGEST, TIMES, LOG_SUM = "min", "max", "times", "log_sum"


def width_of(kinds: tuple[str, ...]) -> int:
    """Return how many columns hold the numbers of all these kinds."""
    return max((TRACK_COLUMNS[kind] for kind in kinds), default=0)


def lift_values(kind: str, field: F64 | None, width: int, count: int) -> F64:
    """Return (width, count) the numbers of tiles of one event each; `field` (count,) holds the field's values."""
    values = np.zeros((width, count))
    if field is not None and TRACK_COLUMNS[kind]:
        values[0] = field
        if kind == LOG_SUM:
            # A zero makes the sum minus infinity and a negative value makes it no number, in any order of adding.
            with np.errstate(divide="ignore", invalid="ignore"):
                values[0] = np.log(field)
        if kind == TIMES:
            values[1] = field
    return values


def join_values(kind_of_row: I64, kinds: tuple[str, ...], count: I64, values: F64, heads: I64) -> F64:
    """Return (width, groups) the joined numbers of groups of rows.

    Args:
        kind_of_row: (m,) index into `kinds`, the same throughout a group.
        kinds: kinds of tracks.
        count: (m,) events a row.
        values: (width, m).
        heads: (groups,) where each group begins.
    """
    if values.shape[0] == 0:
        return np.zeros((0, len(heads)))
    # Overflow to infinity is what IEEE 754 says of sums this large, and no reason to warn.
    with np.errstate(over="ignore", invalid="ignore"):
        joined = np.add.reduceat(values, heads, axis=1)
        kind_of_group = kind_of_row[heads]
        for index, kind in enumerate(kinds):
            mine = kind_of_group == index
            if kind in (SMALLEST, TIMES) and mine.any():
                joined[0, mine] = np.minimum.reduceat(values[0], heads)[mine]
            if kind in (LARGEST, TIMES) and mine.any():
                column = 1 if kind == TIMES else 0
                joined[column, mine] = np.maximum.reduceat(values[column], heads)[mine]
        central, deep = (
            np.array([kind in having for kind in kinds], np.bool_)[kind_of_row]
            for having in (("variance", "moments"), ("moments",))
        )
        if central.any():
            _add_moments(joined, count, values, heads, central, deep)
    return joined


def _add_moments(
    joined: F64, count: I64, values: F64, heads: I64, central: npt.NDArray[np.bool_], deep: npt.NDArray[np.bool_]
) -> None:
    """Correct the sums of M2 to M4 in `joined` by how far each row's mean is from its group's.

    `central` (m,) rows have M2, `deep` (m,) ones M3 and M4 too.
    """
    group = np.repeat(np.arange(len(heads)), np.diff(np.append(heads, len(count))))
    n_of_group = np.add.reduceat(count, heads)
    n = np.where(central, count, 0).astype(np.float64)
    d = np.where(central, values[0] / count - (joined[0] / n_of_group)[group], 0.0)
    m2 = values[1]
    joined[1] += np.add.reduceat(n * d * d, heads)
    if values.shape[0] > 2:
        d = np.where(deep, d, 0.0)
        m3 = values[2]
        joined[2] += np.add.reduceat(3 * d * m2 + n * d**3, heads)
        joined[3] += np.add.reduceat(4 * d * m3 + 6 * d * d * m2 + n * d**4, heads)
