"""Parts that a record may lack: u1 present, then, if it is 1, columns of fixed sizes.

Shared by vectors.py and decays.py, which say what the columns are.
"""

from __future__ import annotations

from collections.abc import Sequence

from user_state.codec.columns import need

PRESENT, ABSENT = b"\1", b"\0"


def cut_part(
    blobs: Sequence[bytes], at_of: list[int], sizes: Sequence[int], what: str
) -> tuple[list[int], list[list[bytes]]]:
    """Return (the users who have the part, for each of its columns their bytes).

    Args:
        blobs: each user's section.
        at_of: where in it the part begins; moved on to behind the part.
        sizes: bytes of each column.
        what: the section's name, for errors.

    Raises:
        CodecError: a section ends early, or its mark is neither 0 nor 1.
    """
    users: list[int] = []
    columns: list[list[bytes]] = [[] for _ in sizes]
    for user, blob in enumerate(blobs):
        at = at_of[user]
        mark = blob[at : at + 1]
        need(mark in (PRESENT, ABSENT), f"{what} are cut off or marked neither present nor absent")
        at += 1
        if mark == PRESENT:
            users.append(user)
            for parts, size in zip(columns, sizes, strict=True):
                parts.append(blob[at : (at := at + size)])
            need(len(blob) >= at, f"{what} are cut off")
        at_of[user] = at
    return users, columns


def need_all_used(blobs: Sequence[bytes], at_of: Sequence[int], what: str) -> None:
    """Refuse sections that go on after their last part.

    Raises:
        CodecError: one does.
    """
    need(all(at == len(blob) for at, blob in zip(at_of, blobs, strict=True)), f"{what} have bytes left over")


def add_part(parts_of: list[list[bytes]], present: Sequence[bool], columns: Sequence[tuple[bytes, int]]) -> None:
    """Append the part to what each user has: from each of `columns`, (all users' bytes, size a user), their own."""
    for user, held in enumerate(present):
        if held:
            parts_of[user].append(PRESENT)
            parts_of[user] += [joined[size * user : size * (user + 1)] for joined, size in columns]
        else:
            parts_of[user].append(ABSENT)
