"""A learned item is spread over several records, its parts: the user that a derived event comes from decides which.

    part    xxh64(user as UTF-8) mod spread
    name    {item}#{part}, the part in decimal: what stands for a user's id in the item stage

A derived event lies in the same part whoever folds it and whenever, so its id is looked for where it was remembered.
The pipeline's shards are xxh64(user) mod shards, so where `spread` is a multiple of `shards` each part has one shard to
write it. No two parts have the same name, whatever items are called: what follows the last # is the part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from user_state.state.events import I64, U64


def parts_of_users(user_hash: U64, spread: int) -> I64:
    """Return (n,) the part that derived events of each user lie in.

    Args:
        user_hash: (n,) xxh64 of the users' ids.
        spread: how many parts an item has.
    """
    return (user_hash % np.uint64(spread)).astype(np.int64)


def part_name(item: str, part: int) -> str:
    """Return the name of one part of an item.

    >>> part_name("tea", 3), part_name("tea#3", 0)
    ('tea#3', 'tea#3#0')
    """
    return f"{item}#{part}"


def item_of_part(name: str) -> str:
    """Return the item that a part belongs to.

    >>> item_of_part("tea#3#0")
    'tea#3'
    """
    return name.rpartition("#")[0]


def part_names(items: Sequence[str], spread: int) -> list[str]:
    """Return the names of all parts of all items, item by item.

    >>> part_names(["tea", "jam"], 2)
    ['tea#0', 'tea#1', 'jam#0', 'jam#1']
    """
    return [part_name(item, part) for item in items for part in range(spread)]
