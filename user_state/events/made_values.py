"""Made-up values for the fields of any schema, of which a spec's features become something.

A value is drawn by its Avro type, wherever it lies: in records, arrays, maps and unions. Fields that the spec's filters
and weights name get the values that these ask for most of the time, numbers also values beside them, so that filters
are met and missed. Ids are made of a made-up app's ids: `u0012` becomes 12 where the schema wants a number. An id that
is given twice comes out the same twice.

Pure: what is drawn depends on the random generator that is given, nothing else.
"""

from __future__ import annotations

import datetime
import math
import random
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from user_state.spec import LoadedSpec
from user_state.spec.avro_types import NamedTypes, looked_up
from user_state.spec.filters import AllOf, Compares, Contains, OneOf

NULL_SHARE = 0.1
ASKED_SHARE = 0.7
"""How often a field that filters name has a value that they ask for."""
WORDS = 24
"""Different texts of a field that nothing is known of."""
MOST_ITEMS = 3
_BITS = {"int": 31, "long": 63}
_NANOS_OF = {"millis": 1_000_000, "micros": 1_000, "nanos": 1}
_DAY_US = 86_400 * 10**6
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def asked_values(spec: LoadedSpec) -> dict[str, list[Any]]:
    """Return the values that the spec's filters and weights name, by field."""
    found: dict[str, dict[Any, None]] = {}
    for part in _parts(spec.spec):
        where = getattr(part, "where", None)
        if isinstance(where, AllOf):
            for leaf in where.leaves():
                asked = leaf.values if isinstance(leaf, OneOf | Contains) else ()
                found.setdefault(leaf.field, {}).update(dict.fromkeys(asked))
                if isinstance(leaf, Compares):
                    found[leaf.field][leaf.number] = None
        weights = getattr(part, "weights", None)
        if isinstance(weights, Mapping):
            found.setdefault(getattr(part, "weight_field", ""), {}).update(dict.fromkeys(weights))
    return {path: list(values) for path, values in found.items() if values}


def _parts(part: Any) -> Iterator[BaseModel]:
    """Yield a spec and all that it is made of."""
    if isinstance(part, BaseModel):
        yield part
        for name in type(part).model_fields:
            yield from _parts(getattr(part, name))
    elif isinstance(part, Mapping):
        for one in part.values():
            yield from _parts(one)
    elif isinstance(part, list | tuple):
        for one in part:
            yield from _parts(one)


class ValueMaker:
    """Draws values.

    Args:
        named: the schema's named types.
        asked: by path, the values to draw most of the time (`asked_values`).
    """

    def __init__(self, named: NamedTypes, asked: Mapping[str, list[Any]]) -> None:
        self._named = named
        self._asked = asked

    def value(self, declared: Any, path: str, rng: random.Random) -> Any:
        """Return a value of the type `declared`, at `path`."""
        declared = looked_up(declared, self._named)
        if isinstance(declared, list):
            return self._of_union(declared, path, rng)
        kind = declared["type"]
        if kind == "record":
            return {
                field["name"]: self.value(field["type"], f"{path}.{field['name']}", rng) for field in declared["fields"]
            }
        if kind == "array":
            return [self.value(declared["items"], path, rng) for _ in range(rng.randint(0, MOST_ITEMS))]
        if kind == "map":
            keys = [key.removeprefix(f"{path}.") for key in self._asked if key.startswith(f"{path}.")]
            keys += [f"key{n}" for n in range(rng.randint(0, MOST_ITEMS))]
            return {key: self.value(declared["values"], f"{path}.{key}", rng) for key in keys}
        asked = [one for one in self._asked.get(path, ()) if self._fits(declared, one)]
        if asked and rng.random() < ASKED_SHARE:
            return self._near(declared, rng.choice(asked), rng)
        return self._drawn(declared, path, rng)

    def _of_union(self, branches: list[Any], path: str, rng: random.Random) -> Any:
        others = [branch for branch in branches if looked_up(branch, self._named) != {"type": "null"}]
        if not others or (len(others) < len(branches) and rng.random() < NULL_SHARE):
            return None
        chosen = looked_up(rng.choice(others), self._named)
        value = self.value(chosen, path, rng)
        # With its name, or fastavro would take the first record that looks like it.
        return (chosen["name"], value) if chosen["type"] == "record" and len(others) > 1 else value

    def _fits(self, declared: Mapping[str, Any], asked: Any) -> bool:
        kind = declared["type"]
        if kind == "enum":
            return asked in list(declared["symbols"])
        if kind == "boolean" or isinstance(asked, bool):
            return kind == "boolean" and isinstance(asked, bool)
        if isinstance(asked, str):
            return bool(kind == "string")
        return bool(kind in ("int", "long", "float", "double") and math.isfinite(asked))

    def _near(self, declared: Mapping[str, Any], asked: Any, rng: random.Random) -> Any:
        kind = declared["type"]
        if kind in _BITS:
            bound = 1 << _BITS[kind]
            return max(-bound, min(round(asked) + rng.choice((-1, 0, 0, 1)), bound - 1))
        return asked + rng.choice((-0.5, 0.0, 0.0, 0.5)) if kind in ("float", "double") else asked

    def _drawn(self, declared: Mapping[str, Any], path: str, rng: random.Random) -> Any:
        kind, logical = declared["type"], declared.get("logicalType", "")
        name = path.rpartition(".")[2]
        if kind == "null":
            return None
        if kind == "boolean":
            return rng.random() < 0.5
        if kind == "enum":
            return rng.choice(declared["symbols"])
        if logical == "decimal":
            size = declared.get("size") or 8
            digits = min(declared["precision"], 6)
            return rng.randrange(10**digits).to_bytes(size, "big", signed=True)
        if "timestamp" in logical and kind == "long":
            return rng.randrange(10**15, 17 * 10**14) * 1000 // _NANOS_OF[logical.rpartition("-")[2]]
        if kind in _BITS:
            return rng.randrange(19_000, 20_000) if logical == "date" else rng.randrange(100)
        if kind in ("float", "double"):
            return round(rng.lognormvariate(2.0, 1.0), 2)
        if logical == "uuid":
            made = uuid.UUID(int=rng.getrandbits(128), version=4)
            return made.bytes if kind == "fixed" else str(made)
        if kind == "fixed":
            return rng.randbytes(declared["size"])
        text = f"{name}{rng.randrange(WORDS)}"
        return text.encode() if kind == "bytes" else text


def id_as(declared: Any, text: str, named: NamedTypes) -> Any:
    """Return an id such as `u0012` as a type has it: as text, 12, a UUID, bytes or a symbol; the same each time."""
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        others = [looked_up(branch, named) for branch in declared if looked_up(branch, named) != {"type": "null"}]
        return id_as(others[0], text, named) if others else None
    kind, logical = declared["type"], declared.get("logicalType", "")
    if kind in _BITS:
        return _number(text) % (1 << _BITS[kind])
    if logical == "uuid":
        made = uuid.uuid5(uuid.NAMESPACE_OID, text)
        return made.bytes if kind == "fixed" else str(made)
    if kind == "enum":
        return declared["symbols"][_number(text) % len(declared["symbols"])]
    if kind == "fixed":
        return uuid.uuid5(uuid.NAMESPACE_OID, text).bytes.ljust(declared["size"], b"\0")[: declared["size"]]
    if kind in ("float", "double"):
        return float(_number(text) % 2**53)
    return text.encode() if kind == "bytes" else text


def _number(text: str) -> int:
    digits = text.lstrip("abcdefghijklmnopqrstuvwxyz") if not text.startswith("e") else text[1:]
    try:
        return int(digits, 16 if text.startswith("e") else 10)
    except ValueError:
        return uuid.uuid5(uuid.NAMESPACE_OID, text).int & (2**62 - 1)


def time_as(declared: Any, time_us: int, unit_ns: int | None, named: NamedTypes) -> Any:
    """Return a time as a type has it: ISO text, or a number of its unit; `unit_ns` nanoseconds where it names none."""
    declared = looked_up(declared, named)
    if isinstance(declared, list):
        others = [looked_up(branch, named) for branch in declared if looked_up(branch, named) != {"type": "null"}]
        return time_as(others[0], time_us, unit_ns, named)
    logical = declared.get("logicalType", "")
    if declared["type"] == "string":
        return (_EPOCH + datetime.timedelta(microseconds=time_us)).isoformat()
    if logical == "date":
        return time_us // _DAY_US
    unit_ns = _NANOS_OF.get(logical.rpartition("-")[2], unit_ns or 1000)
    number = time_us * 1000 / unit_ns
    return number if declared["type"] in ("float", "double") else math.floor(number)
