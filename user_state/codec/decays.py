"""A record's decayed numbers: for each decay of the layout

u1 present; an absent one ends here
i8 reference time in microseconds
f8 sum x half-lives
"""

from __future__ import annotations

from collections.abc import Sequence

from user_state.codec.columns import column, need
from user_state.core.decays import DecayedNumbers


def unpack_decays(blobs: Sequence[bytes], half_lives_of: Sequence[int]) -> tuple[DecayedNumbers, ...]:
    """Return the decayed numbers of n records; `half_lives_of` (decays,) how many each has."""
    at_of = [0] * len(blobs)
    parts = []
    for half_lives in half_lives_of:
        users: list[int] = []
        times: list[bytes] = []
        sums: list[bytes] = []
        for user, blob in enumerate(blobs):
            at = at_of[user]
            present = blob[at : at + 1]
            need(present in (b"\0", b"\1"), "decays are cut off or marked neither present nor absent")
            at += 1
            if present == b"\1":
                users.append(user)
                times.append(blob[at : (at := at + 8)])
                sums.append(blob[at : (at := at + 8 * half_lives)])
                need(len(blob) >= at, "decays are cut off")
            at_of[user] = at
        part = DecayedNumbers.empty(len(blobs), half_lives)
        part.time_us[users] = column(times, "<i8")
        part.sums[users] = column(sums, "<f8").reshape(-1, half_lives)
        need(bool(((part.time_us[users] > 0) & (part.time_us[users] < 2**62)).all()), "decays have no reference time")
        parts.append(part)
    need(all(at == len(blob) for at, blob in zip(at_of, blobs, strict=True)), "decays have bytes left over")
    return tuple(parts)


def pack_decays(decays: Sequence[DecayedNumbers], users: int) -> list[bytes]:
    """Return each user's packed decayed numbers."""
    parts: list[list[bytes]] = [[] for _ in range(users)]
    for decay in decays:
        size = 8 * decay.sums.shape[1]
        times = decay.time_us.astype("<i8").tobytes()
        sums: bytes = decay.sums.astype("<f8").tobytes()
        for user, present in enumerate((decay.time_us > 0).tolist()):
            if present:
                parts[user] += (b"\1", times[8 * user : 8 * user + 8], sums[size * user : size * (user + 1)])
            else:
                parts[user].append(b"\0")
    return [b"".join(part) for part in parts]
