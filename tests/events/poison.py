"""Schemas of which a short body could take all stack, time or memory to decode, each with such a body.

Each was seen to crash or hang fastavro. Nothing here decodes: whoever does, does it in
a process that may die.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Json = dict[str, Any]
MANY = 2**60
ID = {"name": "id", "type": "string"}
ID_BODY = b"\x02a"


class Poison(NamedTuple):
    """A schema, a body of it, and what is said of either where it is refused: the field, and the reason.

    `of_fastavro` is what is said of the schema where fastavro would read such bodies.
    """

    schema: Json
    body: bytes
    field: str = ""
    reason: str = ""
    refused: str = "body"
    of_fastavro: str = ""


def long(number: int) -> bytes:
    """A number as Avro writes it: zigzag, seven bits a byte."""
    left = (number << 1) ^ (number >> 63)
    written = b""
    while left > 0x7F:
        written += bytes([left & 0x7F | 0x80])
        left >>= 7
    return written + bytes([left])


def record(name: str, *fields: tuple[str, Any]) -> Json:
    return {"type": "record", "name": name, "fields": [{"name": of, "type": declared} for of, declared in fields]}


def event(*types: Any) -> Json:
    """An event with a text first, then fields `f0`, `f1`, ..., of these types."""
    made = record("Event", *((f"f{number}", declared) for number, declared in enumerate(types)))
    return {**made, "fields": [ID, *made["fields"]]}


def array(items: Any) -> Json:
    return {"type": "array", "items": items}


def mapping(values: Any) -> Json:
    return {"type": "map", "values": values}


def defined(types: list[Json], used: Any) -> Json:
    """An event that defines types, each nullable and null, and then has a field of `used`."""
    return event(*(["null", one] for one in types), used)


def doubling(levels: int, innermost: Json) -> list[Json]:
    """Records that each have the one before twice; `D0` is the innermost."""
    return [innermost, *(record(f"D{n}", ("a", f"D{n - 1}"), ("b", f"D{n - 1}")) for n in range(1, levels))]


def chain(levels: int) -> list[Json]:
    """Records that each have the one before; `C0` has a boolean."""
    return [record("C0", ("x", "boolean")), *(record(f"C{n}", ("x", f"C{n - 1}")) for n in range(1, levels))]


def two_alike(levels: int) -> tuple[list[Json], Any]:
    """Unions of two records that differ in their last field only, each level within both of the next."""
    types, union = [], "int"
    for n in range(levels):
        types += [record(f"A{n}", ("x", union), ("z", "int")), record(f"B{n}", ("x", union), ("z", "string"))]
        union = [f"A{n}", f"B{n}"]
    return types, union


def map_like_record(levels: int) -> tuple[list[Json], Any]:
    """Unions of a record and a map of the level before: what has the record's fields may still be a map."""
    types, union = [], ["int", "string"]
    for n in range(levels):
        types.append(record(f"M{n}", ("x", union), ("z", "int")))
        union = [f"M{n}", mapping(union)]
    return types, union


def map_bodies(levels: int) -> bytes:
    """A value of `map_like_record`: a map at each level, with a record's fields, of which the last does not fit."""
    if levels == 0:
        return b"\x00" + long(1)
    inner = map_bodies(levels - 1)
    last = b"\x02\x02a" if levels == 1 else b"\x02\x00"  # a text, or an empty map
    return b"\x02" + long(2) + b"\x02x" + inner + b"\x02z" + last + b"\x00"


NODE = record("Node", ("next", ["null", "Node"]))
TREE = record("Tree", ("children", array("Tree")))
FOLDER = record("Folder", ("inside", mapping("Folder")))
PING = record("Ping", ("pong", ["null", record("Pong", ("ping", ["null", "Ping"]))]))
EMPTY = record("Empty")
NULLS = record("Nulls", ("a", "null"), ("b", record("Inner", ("c", "null"))))
DEEP = 20_000

LEVELS, FREE = "levels deep", "values beyond"
IN_ITSELF, NO_BYTES, DOUBLES = "contain themselves", "at least one byte", "take no bytes"

POISON: dict[str, Poison] = {
    "a record in itself": Poison(
        event(NODE), ID_BODY + b"\x02" * 100_000 + b"\x00", "f0.next.next", LEVELS, of_fastavro=IN_ITSELF
    ),
    "a record in an array of its own": Poison(
        event(TREE),
        ID_BODY + b"\x02" * 100_000 + b"\x00" * 100_001,
        "f0.children[].children[]",
        LEVELS,
        of_fastavro=IN_ITSELF,
    ),
    "a record in a map of its own": Poison(
        event(FOLDER),
        ID_BODY + b"\x02\x00" * 100_000 + b"\x00" * 100_001,
        "f0.inside{}.inside{}",
        LEVELS,
        of_fastavro=IN_ITSELF,
    ),
    "two records in each other": Poison(
        event(PING), ID_BODY + b"\x02" * 100_000 + b"\x00", "f0.pong.ping.pong", LEVELS, of_fastavro=IN_ITSELF
    ),
    "the event in itself": Poison(
        event(["null", "Event"]),
        (ID_BODY + b"\x02") * 100_000 + ID_BODY + b"\x00",
        "f0.f0.f0",
        LEVELS,
        of_fastavro=IN_ITSELF,
    ),
    "records in each other twenty thousand times": Poison(
        defined(chain(DEEP), f"C{DEEP - 1}"),
        ID_BODY + b"\x00" * DEEP + b"\x01",
        "f61.x",
        "levels of types",
        refused="schema",
    ),
    "an array of nulls": Poison(
        event(array("null")), ID_BODY + long(MANY) + b"\x00", "f0[]", FREE, of_fastavro=NO_BYTES
    ),
    "an array of empty records": Poison(
        event(array(EMPTY)), ID_BODY + long(MANY) + b"\x00", "f0[]", FREE, of_fastavro=NO_BYTES
    ),
    "an array of fixed of no bytes": Poison(
        event(array({"type": "fixed", "name": "None", "size": 0})),
        ID_BODY + long(MANY) + b"\x00",
        "f0[]",
        FREE,
        of_fastavro=NO_BYTES,
    ),
    "an array of records of those": Poison(
        event(array(NULLS)), ID_BODY + long(MANY) + b"\x00", "f0[]", FREE, of_fastavro=NO_BYTES
    ),
    "an array of those in an array, by a negative count": Poison(
        event(array(array("null"))),
        ID_BODY + long(1) + long(-MANY) + long(0) + b"\x00\x00",
        "f0[][]",
        FREE,
        of_fastavro=NO_BYTES,
    ),
    "an array of those in a map": Poison(
        event(mapping(array("null"))),
        ID_BODY + long(1) + b"\x00" + long(MANY) + b"\x00\x00",
        "f0{}[]",
        FREE,
        of_fastavro=NO_BYTES,
    ),
    "an array of those in a union": Poison(
        event(["null", array(EMPTY)]), ID_BODY + b"\x02" + long(MANY) + b"\x00", "f0[]", FREE, of_fastavro=NO_BYTES
    ),
    "an empty record that doubles": Poison(
        defined(doubling(40, record("D0")), "D39"), ID_BODY + b"\x00" * 40, "f40.a.a", FREE, of_fastavro=DOUBLES
    ),
    "unions of records that are alike": Poison(
        defined(*two_alike(24)), ID_BODY + b"\x00" * 48 + b"\x02" * 24 + b"\x00" + b"\x02a" * 24
    ),
    "unions of a record and a map like it": Poison(
        defined(*map_like_record(20)), ID_BODY + b"\x00" * 20 + map_bodies(20), of_fastavro="decoded in up to"
    ),
}
"""What is wrong: one poison each. Where nothing is said, the body is read."""
