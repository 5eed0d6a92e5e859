"""What decoding an event may cost: which schemas are refused, and of which a short body could keep fastavro busy.

The compiled core bounds what a body costs while it reads (`native/events/avro_program.hpp`): how deep values lie, and
how many there are that take no bytes. So a type may contain itself, and an array may hold nulls. Refused is

    a schema of more than MOST_LEVELS levels     counted with the types that are used by name
    an event that may take no byte               a file says how many events a block has
    an event of more than MOST_BYTES bytes       it fits no message
    a union with a type twice                    Avro has each once

fastavro bounds nothing, and reads some things that the core does not: the brute force, tables of item vectors. Its
time, memory and stack are in proportion to the body's length if

    no type contains itself               a body would say how deep to go; fastavro has no limit and crashes
    an item takes at least one byte       a count in front of items of none claims any number of them
    a byte of an item is at most          one small field may lie in a record in a record in a record, and a record of
    MOST_VALUES_A_BYTE values             nulls that is used by name twice at each level doubles with each
    an event is at most                   as above, outside arrays and maps
    MOST_FREE_VALUES more
    a value may be read in at most        to find out whether a mapping is a map or one of the records of a union,
    MOST_TRIES ways                       fastavro tries one after the other, anew in each union that lies in it

What a schema costs is found out type by type, each with its least length and its greatest *excess*: by how many values
it may be more than MOST_VALUES_A_BYTE times its bytes. With K for that, and e for excess,

    null     1                      array    1 - K, if no item has an excess above 0
    others   1 - K * least bytes    map      1 - K, if no key with its value has one
    record   1 + the sum of its fields' e
    union    the greatest e of its branches - K, for the byte that says which it is

so that an event of n bytes has at most K * n + e values. Strings, bytes and fixed need no rule: what is not there of
them is missed before anything is made.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from user_state.errors import SpecError, shorten
from user_state.spec.avro_types import PRIMITIVES, in_words

MOST_LEVELS = 64
MOST_VALUES_A_BYTE = 16
MOST_FREE_VALUES = 1000
MOST_TRIES = 64
MOST_BYTES = 10_000_000
"""Of the shortest event: as much as a Pub/Sub message holds."""
MOST_SAID = 80
"""Characters of a place or a type in a message."""


class _Cost(NamedTuple):
    """What values of a type cost.

    Attributes:
        least_bytes: of the shortest value.
        excess: values beyond MOST_VALUES_A_BYTE a byte, at most; see above.
        levels: of types, this one's included.
        tries: how often fastavro may look at a value that lies in it.
    """

    least_bytes: int
    excess: int
    levels: int
    tries: int


_LEAST_BYTES = dict.fromkeys(PRIMITIVES, 1) | {"null": 0, "float": 4, "double": 8}


def check_bounds(schema: Any) -> None:
    """Find out whether events that `schema` describes can be read; see above.

    Args:
        schema: the schema of whole events, as fastavro parses it.

    Raises:
        SpecError: they cannot; says which field is at fault, such as `device.os`, `tags[]` or `labels{}`, and why.
    """
    cost = _Costs(for_fastavro=False).of(schema, "", 1)
    if cost.least_bytes == 0:
        raise SpecError(f"expected events of at least one byte, got {_what(schema)}, whose fields take none")


def check_bounds_of_fastavro(schema: Any) -> None:
    """Find out whether fastavro reads what `schema` describes in bounded time; raises as `check_bounds`."""
    _Costs().of(schema, "", 1)


def fastavro_can_read(schema: Any) -> bool:
    """Return whether it does, of a schema which `check_bounds` has passed."""
    try:
        check_bounds_of_fastavro(schema)
    except SpecError:
        return False
    return True


def ways_to_write(schema: Any) -> float:
    """Return how often fastavro may look at a value as it writes an event without the names of its records.

    Args:
        schema: the schema of whole events, parsed, which `check_bounds` has passed.
    """
    try:
        return _Costs(math.inf, by_name=False).of(schema, "", 1).tries
    except SpecError:
        return math.inf


class _Costs:
    """Goes through a schema once: what is used by name has been defined, and so gone through, further up.

    Args:
        most_tries: for any value.
        by_name: whether fastavro knows which record of a union a value is.
        for_fastavro: whether what fastavro cannot bound is refused.
    """

    def __init__(self, most_tries: float = MOST_TRIES, *, by_name: bool = True, for_fastavro: bool = True) -> None:
        self._for_fastavro = for_fastavro
        self._most_tries = most_tries if for_fastavro else math.inf
        self._knows_records = by_name
        self._of_named: dict[str, _Cost | None] = {}  # None while it is gone through

    def of(self, declared: Any, at: str, level: int) -> _Cost:
        if level > MOST_LEVELS:
            raise _too_deep(at)
        if isinstance(declared, str):
            cost = self._by_name(declared, at)
        elif isinstance(declared, list):
            cost = self._union(declared, at, level)
        else:
            cost = self._declared(declared, at, level)
        if level + cost.levels - 1 > MOST_LEVELS:
            raise _too_deep(at)
        if cost.least_bytes > MOST_BYTES:
            raise SpecError(
                f"expected events that fit a message, got {_where(at)} {_what(declared)} of at least"
                f" {shorten(cost.least_bytes)} bytes; at most {MOST_BYTES} are accepted"
            )
        if cost.tries > self._most_tries:
            raise SpecError(
                f"expected fewer unions of a map and records in each other, got {_where(at)} {_what(declared)}, to be"
                f" decoded in up to {cost.tries} ways; put each map into a record of its own"
            )
        if self._for_fastavro and cost.excess > MOST_FREE_VALUES:
            raise SpecError(
                f"expected at most {MOST_FREE_VALUES} values that take no bytes, got more in {_where(at)}"
                f" {_what(declared)}; leave out what is always null, or empty"
            )
        return cost

    def _by_name(self, name: str, at: str) -> _Cost:
        if name in _LEAST_BYTES:
            return _plain(_LEAST_BYTES[name])
        cost = self._of_named.get(name)
        if cost is None and not self._for_fastavro and name in self._of_named:
            return _Cost(0, 0, 1, 1)
        if cost is None:
            raise SpecError(
                f"expected types that do not contain themselves, got {_where(at)} {name} inside of {name}: an"
                " event could be nested without end; write out as many levels as there may be, or send it as text"
            )
        return cost

    def _declared(self, declared: Mapping[str, Any], at: str, level: int) -> _Cost:
        kind, name = declared["type"], declared.get("name")
        if kind == "error":
            raise SpecError(f"expected a record, got {_where(at)} {_what(declared)}, which is for protocols")
        if kind == "record":
            self._of_named[str(name)] = None
            cost = self._record(declared, at, level)
        elif kind == "array":
            cost = self._items(declared, declared["items"], 0, f"{at}[]", level)
        elif kind == "map":
            cost = self._items(declared, declared["values"], 1, f"{at}{{}}", level)
        elif kind == "enum":
            cost = _plain(1)
        elif kind == "fixed":
            cost = _plain(_fixed_size(declared, at))
        else:
            return self.of(kind, at, level)
        if kind not in ("array", "map"):
            self._of_named[str(name)] = cost
        return cost

    def _record(self, declared: Mapping[str, Any], at: str, level: int) -> _Cost:
        least_bytes, excess, levels, tries = 0, 1, 0, 1
        for field in declared["fields"]:
            where = f"{at}.{field['name']}" if at else str(field["name"])
            cost = self.of(field["type"], where, level + 1)
            least_bytes += cost.least_bytes
            excess += cost.excess
            levels = max(levels, cost.levels)
            tries = max(tries, cost.tries)
        return _Cost(least_bytes, excess, 1 + levels, tries)

    def _items(self, declared: Any, item: Any, key_bytes: int, at: str, level: int) -> _Cost:
        cost = self.of(item, at, level + 1)
        if self._for_fastavro and key_bytes + cost.least_bytes == 0:
            raise SpecError(
                f"expected items of at least one byte, got {_where(at)} {_what(item)}, which may take none: a short"
                " event could claim any number of them; send how many there are as a long"
            )
        if self._for_fastavro and key_bytes * (1 - MOST_VALUES_A_BYTE) + cost.excess > 0:
            raise SpecError(
                f"expected items of at most {MOST_VALUES_A_BYTE} values a byte, got {_where(at)} {_what(item)}, which"
                " may be more; leave out records around a single field, and what is always null, or empty"
            )
        return _Cost(1, 1 - MOST_VALUES_A_BYTE, 1 + cost.levels, cost.tries)

    def _union(self, branches: list[Any], at: str, level: int) -> _Cost:
        kinds = [_kind(branch) for branch in branches]
        twice = next((kind for kind in kinds if kinds.count(kind) > 1 or kind == "union"), None)
        if twice is not None:
            what = "a union in it" if twice == "union" else f"{shorten(twice)} twice"
            raise SpecError(f"expected each type once in a union, as Avro has it, got {what} for {_cut(at)}")
        costs = [self.of(branch, at, level + 1) for branch in branches] or [_plain(0)]
        deeper = [cost.tries for kind, cost in zip(kinds, costs, strict=False) if kind not in _LEAST_BYTES]
        return _Cost(
            1 + min(cost.least_bytes for cost in costs),
            max(cost.excess for cost in costs) - MOST_VALUES_A_BYTE,
            1 + max(cost.levels for cost in costs),
            sum(deeper) if deeper and (not self._knows_records or "map" in kinds) else max(deeper, default=1),
        )


def _plain(least_bytes: int) -> _Cost:
    return _Cost(least_bytes, 1 - MOST_VALUES_A_BYTE * least_bytes, 1, 1)


def _kind(branch: Any) -> str:
    """Return what a union may have once: a named type by its name, any other by its kind."""
    if isinstance(branch, list):
        return "union"
    if isinstance(branch, str):
        return branch
    return str(branch["name"] if "name" in branch else _kind(branch["type"]))


def _fixed_size(declared: Mapping[str, Any], at: str) -> int:
    size = declared["size"]
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise SpecError(f"expected a size in bytes, got {shorten(size)} for {_where(at)} {_what(declared)}")
    return size


def _too_deep(at: str) -> SpecError:
    return SpecError(
        f"expected at most {MOST_LEVELS} levels of types, got more in {_cut(at)}; records that are used by name, unions"
        " and arrays count as often as they are used"
    )


def _where(at: str) -> str:
    return f"field {_cut(at)} of type" if at else "a"


def _what(declared: Any) -> str:
    return _cut(in_words(declared))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_SAID else f"{text[:MOST_SAID]}..."
