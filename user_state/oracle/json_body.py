"""One event read from JSON by its Avro schema: slowly, with Python's own json, by the rules of docs/spec.md.

Written down a second time so that the compiled reader is held against something. Python's json says what is JSON; here
is what it lets through and the RFC does not, or the product does not:

    NaN, Infinity; halves of surrogate pairs; a field that an object has twice
    objects and arrays deeper than MOST_LEVELS; more than MOST_FREE values beyond MOST_A_BYTE a byte

Values come as fastavro gives them without logical types.

Sources: RFC 8259; Apache Avro 1.12 specification, "JSON Encoding", for unions and bytes.
"""

from __future__ import annotations

import json
import math
import re
import struct
import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NoReturn

from user_state.oracle.body import MOST_A_BYTE, MOST_FREE, MOST_LEVELS
from user_state.oracle.view import of_iso
from user_state.spec.avro_types import NamedTypes, default_value, logical_type, looked_up, named_types

MOST_DIGITS = 200
"""Of a decimal without its point."""
MOST_POWER = 10**9
_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?)([0-9]+))?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NANOSECONDS = {"millis": 10**6, "micros": 10**3, "nanos": 1}


class _Number(str):
    """A number as it is written."""


class _Members(list[tuple[str, Any]]):
    """An object as it is written."""


def read_json(schema: Any, data: bytes) -> dict[str, Any]:
    """Return the event of the schema, as fastavro parses it with its logical types, that `data` holds.

    Raises:
        ValueError: `data` holds none.
    """
    try:
        tree = json.loads(
            data.decode().removeprefix("\ufeff"),
            parse_int=_Number,
            parse_float=_Number,
            parse_constant=_refuse,
            object_pairs_hook=_Members,
        )
    except RecursionError:
        _refuse("too many levels")
    _check(tree, 0)
    event: dict[str, Any] = _Reading(schema, len(data)).value(schema, tree)
    return event


def _refuse(why: str) -> NoReturn:
    raise ValueError(why)


def _check(tree: Any, level: int) -> None:
    """Raise ValueError for what is deeper than it may be, and for texts that no UTF-8 has."""
    if isinstance(tree, str):
        tree.encode()
    if isinstance(tree, list):
        if level == MOST_LEVELS:
            _refuse("values lie too deep")
        for one in tree:
            if isinstance(tree, _Members):
                one[0].encode()
            _check(one[1] if isinstance(tree, _Members) else one, level + 1)


class _Unfit(ValueError):
    """A value is none of a type."""


class _Reading:
    def __init__(self, schema: Any, size: int) -> None:
        self._named: NamedTypes = named_types(schema)
        self._left = MOST_FREE + MOST_A_BYTE * size

    def value(self, declared: Any, tree: Any, *, wrapped: bool = False) -> Any:
        declared = looked_up(declared, self._named)
        if isinstance(declared, list):
            return self._union([looked_up(branch, self._named) for branch in declared], tree)
        match declared["type"]:
            case "record" if isinstance(tree, _Members):
                return self._record(declared, tree)
            case "map" if isinstance(tree, _Members):
                self._spend(len(tree))
                return {key: self.value(declared["values"], value) for key, value in tree}
            case "array" if isinstance(tree, list) and not isinstance(tree, _Members):
                self._spend(len(tree))
                return [self.value(declared["items"], item) for item in tree]
            case "null" if tree is None:
                return None
            case "boolean" if isinstance(tree, bool):
                return tree
            case "record" | "map" | "array" | "null" | "boolean":
                raise _Unfit
        if isinstance(tree, _Number):
            return _of_number(declared, tree)
        if isinstance(tree, str):
            return _of_text(declared, tree, wrapped=wrapped)
        raise _Unfit

    def _spend(self, values: int) -> None:
        self._left -= values
        if self._left < 0:
            _refuse("too many values")

    def _record(self, declared: Mapping[str, Any], tree: _Members) -> dict[str, Any]:
        self._spend(len(declared["fields"]))
        given = dict(tree)
        own = {field["name"] for field in declared["fields"]}
        others = {alias for field in declared["fields"] for alias in field.get("aliases", ())} - own
        names = [name for name, _ in tree if name in own or name in others]
        if len(names) != len(set(names)):
            _refuse("a field twice")
        claimed: dict[str, str] = {}  # an alias of two fields is the first one's
        for field in declared["fields"]:
            for alias in field.get("aliases", ()):
                claimed.setdefault(alias, field["name"])
        event = {}
        for field in declared["fields"]:
            aliases = (a for a in field.get("aliases", ()) if a not in own and claimed[a] == field["name"])
            there = next((name for name in (field["name"], *aliases) if name in given), None)
            event[field["name"]] = self._left_out(field) if there is None else self.value(field["type"], given[there])
        return event

    def _left_out(self, field: Mapping[str, Any]) -> Any:
        if "default" in field:
            return default_value(field["type"], field["default"], self._named)
        declared = looked_up(field["type"], self._named)
        for branch in declared if isinstance(declared, list) else [declared]:
            if looked_up(branch, self._named)["type"] == "null":
                return None
        return _refuse("a field is left out")

    def _union(self, branches: list[Any], tree: Any) -> Any:
        if isinstance(tree, _Members):
            named = self._named_branch(branches, tree)
            if named is not None:
                if len(tree) > 1:
                    _refuse("more members than the branch")
                return self.value(named, tree[0][1], wrapped=True)
            (only,) = [one for one in branches if one["type"] in ("record", "map")]
            return self.value(only, tree)
        for branch in sorted(branches, key=lambda branch: _rank(branch, tree)):
            with suppress(_Unfit):
                return self.value(branch, tree)
        raise _Unfit

    def _named_branch(self, branches: list[Any], tree: _Members) -> Any:
        """Return the branch that an object names, as Avro's own JSON does; refuse one that can mean something else."""
        name, value = tree[0] if tree else ("", None)
        named = next((one for one in branches if one["type"] != "null" and one.get("name", one["type"]) == name), None)
        if named is None or (named["type"] == "map" and not isinstance(value, _Members)):
            return None
        fields = [field for one in branches if one["type"] == "record" for field in one["fields"]]
        is_other = any(name in (field["name"], *field.get("aliases", ())) for field in fields)
        for held in (one for one in branches if one["type"] == "map"):
            values = looked_up(held["values"], self._named)
            is_other |= named is not held or isinstance(values, list) or values["type"] in ("record", "map")
        if is_other and len(tree) == 1:
            _refuse("a branch by name, or an object of another")
        return None if is_other else named


def _rank(branch: Any, tree: Any) -> int:
    """Return how late a branch is tried."""
    kind = branch["type"]
    if not isinstance(tree, _Number):
        return int(kind != "string")
    is_plain = tree.lstrip("-").isdigit()
    if kind in ("int", "long"):
        return 0 if is_plain else 2
    if kind == "double":
        return 1 if is_plain else 0
    return 2 if is_plain else 1


def _split(number: str) -> tuple[int, str, int]:
    """Return sign, digits without zeros at either end, and the power of ten."""
    found = _NUMBER.fullmatch(number)
    if found is None:
        raise _Unfit
    sign, whole, fraction, of_power, power = found.groups()
    digits = (whole + (fraction or "")).lstrip("0")
    large = (power or "0").lstrip("0") or "0"
    exponent = (int(large) if len(large) < 10 else MOST_POWER) * (-1 if of_power == "-" else 1) - len(fraction or "")
    shorter = digits.rstrip("0")
    return (-1 if sign else 1), shorter, exponent + len(digits) - len(shorter)


def _whole(number: str, scale: int, most_digits: int) -> int:
    """Return a number times 10^scale."""
    sign, digits, power = _split(number)
    if not digits:
        return 0
    if power + scale < 0 or len(digits) + power + scale > most_digits:
        raise _Unfit
    whole: int = sign * int(digits) * 10 ** (power + scale)
    return whole


def _of_number(declared: Mapping[str, Any], number: _Number) -> Any:
    kind = declared["type"]
    if kind in ("int", "long"):
        bound = 1 << (31 if kind == "int" else 63)
        whole = _whole(number, 0, 19)
        if not -bound <= whole < bound:
            raise _Unfit
        return whole
    if kind in ("float", "double"):
        real = float(number)
        if kind == "float":
            try:
                (real,) = struct.unpack("<f", struct.pack("<f", real))
            except OverflowError:
                raise _Unfit from None
        if not math.isfinite(real):
            raise _Unfit
        return real
    if logical_type(declared) != "decimal":
        raise _Unfit
    unscaled = _whole(number, declared.get("scale", 0), MOST_DIGITS)
    size = (unscaled.bit_length() if unscaled >= 0 else (~unscaled).bit_length()) // 8 + 1
    if kind == "fixed":
        if size > declared["size"]:
            raise _Unfit
        size = declared["size"]
    return unscaled.to_bytes(size, "big", signed=True)


def _of_text(declared: Mapping[str, Any], text: str, *, wrapped: bool) -> Any:
    kind, logical = declared["type"], logical_type(declared)
    if kind == "string":
        return text
    if kind == "enum":
        symbol = text if text in declared["symbols"] else declared.get("default")
        if symbol is None:
            raise _Unfit
        return symbol
    if logical == "decimal" and not wrapped:
        return _of_number(declared, _Number(text))
    if (
        kind == "fixed"
        and logical == "uuid"
        and re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", text)
    ):
        return uuid.UUID(text).bytes
    if kind in ("bytes", "fixed"):
        if max(map(ord, text), default=0) > 0xFF or len(text) != declared.get("size", len(text)):
            raise _Unfit
        return text.encode("latin-1")
    if kind in ("int", "long"):
        return _of_time(kind, logical or "", text)
    raise _Unfit


def _of_time(kind: str, logical: str, text: str) -> int:
    time_us = of_iso(text)
    if isinstance(time_us, str):
        raise _Unfit
    if logical == "date" and len(text) == 10:
        return int(time_us // 86_400_000_000)
    unit_ns = _NANOSECONDS.get(logical.removeprefix("local-").removeprefix("timestamp-"))
    if (
        unit_ns is None
        or "timestamp" not in logical
        or (logical.startswith("local-") and re.search(r"[Zz+-]", text[10:]))
    ):
        raise _Unfit
    fraction = re.search(r"[.,]([0-9]+)", text)
    beyond = (fraction[1][6:9] if fraction else "").ljust(3, "0")
    time: int = (time_us * 1000 + int(beyond)) // unit_ns
    if not -(2**63) <= time < 2**63:
        raise _Unfit
    return time
