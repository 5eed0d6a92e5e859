"""A record's decayed sums: for each vectors of the layout

u1 present; an absent one ends here
i8 reference time in microseconds
f8 weight x half-lives
f4 sum x half-lives x dimensions
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from user_state.codec.columns import column, need
from user_state.core.vectors import DecayedSums

LARGEST_WEIGHT = 1e30
"""More than any number of events can weigh, and small enough that nothing made of it overflows."""
ROUNDED = 1.01
"""Leaves room for what sums in single precision lose over thousands of folds."""

REST_UNITS = 65_536
REST_LIMIT = 32_767
"""One less than half a distance, so that a sum never lies as near to another f4."""


def unpack_vectors(blobs: Sequence[bytes], shapes: Sequence[tuple[int, int]]) -> tuple[DecayedSums, ...]:
    """Return the decayed sums of n records; `shapes` are (half-lives, dimensions)."""
    at_of = [0] * len(blobs)
    parts = []
    for half_lives, dimensions in shapes:
        users: list[int] = []
        times: list[bytes] = []
        weights: list[bytes] = []
        sums: list[bytes] = []
        rests: list[bytes] = []
        for user, blob in enumerate(blobs):
            at = at_of[user]
            present = blob[at : at + 1]
            need(present in (b"\0", b"\1"), "vectors are cut off or marked neither present nor absent")
            at += 1
            if present == b"\1":
                users.append(user)
                times.append(blob[at : (at := at + 8)])
                weights.append(blob[at : (at := at + 8 * half_lives)])
                sums.append(blob[at : (at := at + 4 * half_lives * dimensions)])
                rests.append(blob[at : (at := at + 2 * half_lives * dimensions)])
                need(len(blob) >= at, "vectors are cut off")
            at_of[user] = at
        part = DecayedSums.empty(len(blobs), half_lives, dimensions)
        part.time_us[users] = column(times, "<i8")
        part.weight[users] = column(weights, "<f8").reshape(-1, half_lives)
        part.sums[users] = _joined(column(sums, "<f4"), column(rests, "<i2")).reshape(-1, half_lives, dimensions)
        need(bool((part.time_us[users] > 0).all()), "vectors have no reference time")
        weight = part.weight
        need(bool(((weight >= 0) & (weight <= LARGEST_WEIGHT)).all()), "vectors have weights out of range")
        # A sum of vectors of length one is no longer than the sum of their weights; this also tells NaN and infinity.
        possible = np.abs(part.sums) <= ROUNDED * weight[:, :, None]
        need(bool(possible.all()), "vectors are longer than their weights")
        parts.append(part)
    need(all(at == len(blob) for at, blob in zip(at_of, blobs, strict=True)), "vectors have bytes left over")
    return tuple(parts)


def pack_vectors(vectors: Sequence[DecayedSums], users: int) -> list[bytes]:
    """Return each user's packed decayed sums."""
    parts: list[list[bytes]] = [[] for _ in range(users)]
    for part in vectors:
        weight_size, components = 8 * part.weight.shape[1], part.sums.shape[1] * part.sums.shape[2]
        rounded, rest = _split(part.sums)
        times = part.time_us.astype("<i8").tobytes()
        weights: bytes = part.weight.astype("<f8").tobytes()
        sums, rests = rounded.astype("<f4").tobytes(), rest.astype("<i2").tobytes()
        for user, present in enumerate((part.time_us > 0).tolist()):
            if not present:
                parts[user].append(b"\0")
                continue
            parts[user] += (
                b"\1",
                times[8 * user : 8 * user + 8],
                weights[weight_size * user : weight_size * (user + 1)],
                sums[4 * components * user : 4 * components * (user + 1)],
                rests[2 * components * user : 2 * components * (user + 1)],
            )
    return [b"".join(part) for part in parts]


def _split(sums: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """Return (sums as f4, what that rounds away in units)."""
    rounded = sums.astype(np.float32)
    rest = np.rint((sums - rounded) / np.spacing(np.abs(rounded)).astype(np.float64) * REST_UNITS)
    return rounded, np.clip(rest, -REST_LIMIT, REST_LIMIT)


def _joined(rounded: npt.NDArray[np.float32], rest: npt.NDArray[np.int16]) -> npt.NDArray[np.float64]:
    # Bytes that are no sums may hold anything; the caller refuses what is not finite.
    with np.errstate(all="ignore"):
        distance = np.spacing(np.abs(rounded)).astype(np.float64)
        joined: npt.NDArray[np.float64] = rounded + rest * (distance / REST_UNITS)
    return joined
