"""Pairs of event schemas that mostly resolve and sometimes do not, and events of the writer's, drawn from chance.

Both are drawn from few names and few types, so that fields meet: under one name, under an alias, promoted, made
nullable or required, with fewer symbols, in another order, or not at all. Plain functions of a `random.Random`:
hypothesis gives one whose choices it can shrink, and would take a hundred times as long to build them of strategies.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from hypothesis import strategies as st

RENAMED = {"a": "olda", "b": "oldb"}
NAMES = ("a", "b", "c", "d", *RENAMED.values())
SYMBOLS = ("view", "like", "share", "other")
PLAIN = ("string", "string", "bytes", "int", "long", "float", "double", "boolean", "enum", "fixed")
BEFORE = {
    "long": ("int",),
    "float": ("int", "long"),
    "double": ("int", "long", "float"),
    "bytes": ("string",),
    "string": ("bytes",),
}
"""What may have been written before it was promoted."""
DEFAULTS = {"boolean": True, "int": -3, "long": 2**40, "float": 0.5, "double": -1.5, "string": "é", "null": None}
INTS = (0, 1, -1, 63, 64, -65, 2**31 - 1, -(2**31))
LONGS = (*INTS, 2**53 + 1, 2**63 - 1, -(2**63))
FLOATS = (0.0, -0.0, 1.5, -(2.0**100), float("inf"))
TEXTS = ("", "a", "é\U0001f389", "x" * 63, "y" * 64, "z" * 9000, "\0")
"""Lengths of one, two and three bytes."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Pair:
    """Two schemas as JSON, and events of the writer's."""

    writer: Json
    reader: Json
    events: list[Json]


@st.composite
def pairs(draw: st.DrawFn, nested: bool = False) -> Pair:
    """A writer's schema, a reader's, and three events of the writer's."""
    rng = draw(st.randoms(use_true_random=False))
    read = _fields(rng, "top", nested)
    written = _fields(rng, "top", nested) if rng.random() < 0.2 else _fields_before(rng, read)
    writer, reader = ({"type": "record", "name": "Event", "fields": listed} for listed in (written, read))
    return Pair(writer, reader, [_value(rng, writer) for _ in range(3)])


def _fields(rng: Random, place: str, nested: bool) -> list[Json]:
    made = []
    for name in rng.sample(NAMES, rng.randint(1, 5)):
        field = {"name": name, "type": _type(rng, f"{place}_{name}", nested)}
        first = field["type"][0] if isinstance(field["type"], list) else field["type"]
        if isinstance(first, str) and first in DEFAULTS and rng.random() < 0.8:
            field["default"] = DEFAULTS[first]
        if name in RENAMED and rng.random() < 0.5:
            field["aliases"] = [RENAMED[name]]
        made.append(field)
    return made


def _fields_before(rng: Random, reader: list[Json]) -> list[Json]:
    """Return fields of an earlier writer: some not there yet, renamed since, of other types, gone since."""
    own = {field["name"] for field in reader}
    made = []
    for field in reader:
        if "default" in field and rng.random() < 0.25:
            continue
        names = [field["name"], *(alias for alias in field.get("aliases", ()) if alias not in own)]
        made.append({"name": rng.choice(names), "type": _type_before(rng, field["type"])})
    if all(field["type"] == "null" for field in made) or rng.random() < 0.3:  # an event has a byte at least
        made.append({"name": "gone", "type": _type(rng, "gone", False)})
    rng.shuffle(made)
    return made


def _type(rng: Random, place: str, nested: bool) -> Any:
    """Return a type for the field `place`, which makes the names of its types its own."""
    chosen = rng.random()
    if nested and chosen < 0.3:
        kind = rng.choice(("array", "map", "record"))
        if kind == "record":
            return {"type": "record", "name": f"Inner_{place}", "fields": _fields(rng, f"{place}_in", nested=False)}
        return {"type": kind, "items" if kind == "array" else "values": _type(rng, f"{place}_of", False)}
    if chosen < 0.4:
        return _shuffled(rng, ["null", "string", rng.choice(("int", "double", "boolean"))])
    plain = rng.choice(PLAIN)
    if plain == "enum":
        # What was renamed with its field has the old name for an alias.
        aliases = [f"Action_{place.replace(name, old)}" for name, old in RENAMED.items() if place.endswith(f"_{name}")]
        plain = {"type": "enum", "name": f"Action_{place}", "symbols": _symbols(rng), "aliases": aliases}
        if rng.random() < 0.7:
            plain["default"] = plain["symbols"][0]
    elif plain == "fixed":
        plain = {"type": "fixed", "name": f"Four_{place}", "size": 4}
    return _shuffled(rng, ["null", plain]) if chosen > 0.7 else plain


def _type_before(rng: Random, declared: Any) -> Any:
    if isinstance(declared, list):
        return declared if rng.random() < 0.5 else _type_before(rng, rng.choice(declared))
    if isinstance(declared, dict):
        return (
            {**declared, "symbols": (symbols := _symbols(rng)), "default": symbols[0]}
            if declared["type"] == "enum"
            else declared
        )
    if rng.random() < 0.2 and declared != "null":
        return ["null", declared]
    return rng.choice((declared, *BEFORE.get(declared, ())))


def _symbols(rng: Random) -> list[str]:
    return rng.sample(SYMBOLS, rng.randint(1, 4))


def _shuffled(rng: Random, listed: list[Any]) -> list[Any]:
    rng.shuffle(listed)
    return listed


def _value(rng: Random, declared: Any) -> Any:
    """Return a value of a type, as fastavro writes it."""
    if isinstance(declared, list):
        return _value(rng, rng.choice(declared))
    kind = declared if isinstance(declared, str) else declared["type"]
    match kind:
        case "record":
            return {field["name"]: _value(rng, field["type"]) for field in declared["fields"]}
        case "array":
            return [_value(rng, declared["items"]) for _ in range(rng.randint(0, 3))]
        case "map":
            return {text: _value(rng, declared["values"]) for text in rng.sample(TEXTS, rng.randint(0, 3))}
        case "enum":
            return rng.choice(declared["symbols"])
        case "fixed":
            return b"four"
        case "null":
            return None
        case "boolean":
            return rng.random() < 0.5
        case "bytes":
            return rng.choice(TEXTS).encode()
        case _:
            return rng.choice({"int": INTS, "long": LONGS, "float": FLOATS, "double": FLOATS, "string": TEXTS}[kind])
