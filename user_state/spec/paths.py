"""Paths into an event: `device.os`, `attributes.country`, `tags`, `items.sku`, and which Avro types lie at their ends.

    at a record     a part of the path is a field's name
    at a map        a part is a key; the last key has whatever dots are left, unless the map's values have fields
    at an array     no part: the path goes on in each item, and leads to a list
    at a union      the path goes into every branch; where a branch has nothing of that name, the value is null

Nothing here reads events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from user_state.spec.avro_types import NamedTypes, looked_up

Parts = tuple[str, ...]
MOST_LISTED = 200
"""Paths that are listed of one schema."""
LISTED_LEVELS = 4


class Reached(NamedTuple):
    """What lies at the end of a path, of one branch.

    Attributes:
        type: as fastavro parses it, looked up, no union and no array; None for null.
        arrays: how many arrays the path goes through, one at its end included.
    """

    type: Mapping[str, Any] | None
    arrays: int


def reached(declared: Any, path: str, named: NamedTypes) -> list[Reached]:
    """Return what lies at the end of `path` in values of the type `declared`; nothing if no value has it."""
    found = list(_reached(declared, tuple(path.split(".")), named, 0))
    return [] if all(one is None for one in found) else [Reached(None, 0) if one is None else one for one in found]


def _reached(declared: Any, parts: Parts, named: NamedTypes, arrays: int) -> Iterator[Reached | None]:
    """Yield what is reached, None for a branch that has nothing of that name."""
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        for branch in declared:
            yield from _reached(branch, parts, named, arrays)
        return
    kind = declared["type"]
    if isinstance(kind, list | Mapping):
        yield from _reached(kind, parts, named, arrays)
    elif kind == "array":
        yield from _reached(declared["items"], parts, named, arrays + 1)
    elif kind == "null":
        # A null among an array's items is left out, so that it makes nothing nullable.
        yield from () if arrays else (None if parts else Reached(None, 0),)
    elif not parts:
        yield Reached(declared, arrays)
    elif kind == "record":
        field = next((field for field in declared["fields"] if field["name"] == parts[0]), None)
        if field is None:
            yield None
        else:
            yield from _reached(field["type"], parts[1:], named, arrays)
    elif kind == "map":
        _, rest = key_in_map(parts, declared["values"], named)
        inside = list(_reached(declared["values"], rest, named, arrays))
        yield from inside
        if any(one is not None for one in inside):
            yield Reached(None, 0)
    else:
        yield None


def key_in_map(parts: Parts, values: Any, named: NamedTypes) -> tuple[str, Parts]:
    """Return the key that a path names in a map with such values, and the path's parts behind it.

    >>> key_in_map(("geo", "country"), "string", {}), key_in_map(("home", "tags"), {"type": "map", "values": "int"}, {})
    (('geo.country', ()), ('home', ('tags',)))
    """
    if _has_parts(values, named):
        return parts[0], parts[1:]
    return ".".join(parts), ()


def _has_parts(declared: Any, named: NamedTypes) -> bool:
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        return any(_has_parts(branch, named) for branch in declared)
    if declared["type"] == "array":
        return _has_parts(declared["items"], named)
    return declared["type"] in ("record", "map")


def paths_of(schema: Mapping[str, Any], named: NamedTypes) -> list[str]:
    """Return the paths of a record's fields, those of records in it behind them; keys of maps are nobody's to list."""
    found = [field["name"] for field in schema["fields"]]
    for field in schema["fields"]:
        found += _paths_in(field["type"], field["name"], named, (schema["name"],))
    return list(dict.fromkeys(found))[:MOST_LISTED]


def _paths_in(declared: Any, at: str, named: NamedTypes, within: Sequence[str]) -> Iterator[str]:
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        for branch in declared:
            yield from _paths_in(branch, at, named, within)
    elif declared["type"] == "array":
        yield from _paths_in(declared["items"], at, named, within)
    elif declared["type"] == "record" and declared["name"] not in within and len(within) <= LISTED_LEVELS:
        for field in declared["fields"]:
            path = f"{at}.{field['name']}"
            yield path
            yield from _paths_in(field["type"], path, named, (*within, declared["name"]))
