"""A record's decayed sums: for each vectors of the layout

u1 present; an absent one ends here
i8 reference time in microseconds
f8 weight x half-lives
f4 sum x half-lives x dimensions
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from user_state.codec.columns import column, need
from user_state.core.vectors import DecayedSums


def unpack_vectors(blobs: Sequence[bytes], shapes: Sequence[tuple[int, int]]) -> tuple[DecayedSums, ...]:
    """Return the decayed sums of n records; `shapes` are (half-lives, dimensions)."""
    at_of = [0] * len(blobs)
    parts = []
    for half_lives, dimensions in shapes:
        users: list[int] = []
        times: list[bytes] = []
        weights: list[bytes] = []
        sums: list[bytes] = []
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
                need(len(blob) >= at, "vectors are cut off")
            at_of[user] = at
        part = DecayedSums.empty(len(blobs), half_lives, dimensions)
        part.time_us[users] = column(times, "<i8")
        part.weight[users] = column(weights, "<f8").reshape(-1, half_lives)
        part.sums[users] = column(sums, "<f4").reshape(-1, half_lives, dimensions)
        need(bool((part.time_us[users] > 0).all()), "vectors have no reference time")
        need(bool(np.isfinite(part.weight).all() and np.isfinite(part.sums).all()), "vectors are not finite")
        parts.append(part)
    need(all(at == len(blob) for at, blob in zip(at_of, blobs, strict=True)), "vectors have bytes left over")
    return tuple(parts)


def pack_vectors(vectors: Sequence[DecayedSums], users: int) -> list[bytes]:
    """Return each user's packed decayed sums."""
    parts: list[list[bytes]] = [[] for _ in range(users)]
    for part in vectors:
        weight_size, sum_size = 8 * part.weight.shape[1], 4 * part.sums.shape[1] * part.sums.shape[2]
        times = part.time_us.astype("<i8").tobytes()
        weights: bytes = part.weight.astype("<f8").tobytes()
        sums: bytes = part.sums.astype("<f4").tobytes()
        for user, present in enumerate((part.time_us > 0).tolist()):
            if not present:
                parts[user].append(b"\0")
                continue
            parts[user] += (
                b"\1",
                times[8 * user : 8 * user + 8],
                weights[weight_size * user : weight_size * (user + 1)],
                sums[sum_size * user : sum_size * (user + 1)],
            )
    return [b"".join(part) for part in parts]
