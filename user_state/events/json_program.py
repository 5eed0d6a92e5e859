"""How JSON events are read by an Avro schema: the nodes of `avro_program`, with what JSON leaves to the reader.

    a record     for each field a constant, what it has where it is left out: its default, or null where it may be. Its
                 aliases, since JSON names its members as the sender's version of the schema did
    a union      what Avro's own JSON calls each branch, `{"string": "x"}`, where such an object can mean nothing else
    a time       its unit, since it may be ISO 8601 text
    an enum      its default, which stands for symbols that the schema does not have

`{"string": "x"}` can mean something else where a record of the union has a field of that name, or where the union has a
map. `{"map": {}}` can if a value of the map may be an object. Such objects are refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from user_state.events.avro_program import Compiling, Node, Program, Wanted, wanted_of
from user_state.events.default_bytes import default_bytes
from user_state.spec.avro_types import NamedTypes, logical_type, looked_up
from user_state.spec.event_field import UNIT_OF_TIME, UNITS
from user_state.spec.resolution import NamedPair


def json_program_of(schema: Any, wanted: Mapping[str, Sequence[int]] | None = None) -> Program:
    """Return how JSON events of `schema`, as fastavro parses it with its logical types, are read.

    Args:
        schema: the schema.
        wanted: the places that want the value at each path.

    Raises:
        ValueError: a default cannot be used, which a spec says first (`user_state.spec.defaults`).
    """
    compiling = _JsonCompiling(NamedPair.of(schema, schema))
    root = compiling.node(schema, schema, compiling.named, wanted_of(wanted), str(schema["name"]), in_array=False)
    return Program([node for node in compiling.nodes if node is not None], root)


def _left_out(field: Mapping[str, Any], named: NamedTypes) -> bytes | None:
    """Return the bytes of what a field has that is left out; None if it may not be."""
    if "default" in field:
        return default_bytes(field["type"], field["default"], named)
    declared = looked_up(field["type"], named)
    branches = declared if isinstance(declared, list) else [declared]
    may_be_null = any(looked_up(branch, named) == {"type": "null"} for branch in branches)
    return default_bytes(field["type"], None, named) if may_be_null else None


class _JsonCompiling(Compiling):
    """Writer and reader are one."""

    def union(self, node: Node, branches: Sequence[Any], named: NamedPair) -> Node:
        names = tuple(avros_names(branches, named.reader))
        types = [looked_up(branch, named.reader) for branch in branches]
        others = [
            (str(one.get("name", one["type"])), child)
            for one, child, name in zip(types, node.children, names, strict=True)
            if name is None and one["type"] != "null"
        ]
        return node._replace(names=names, keys=tuple(others))

    def record(
        self, node: Node, declared: Mapping[str, Any], named: NamedPair, wanted: Sequence[Wanted], *, in_array: bool
    ) -> Node:
        absent: list[int | None] = []
        aliases: list[tuple[str, int]] = []
        own = {field["name"] for field in declared["fields"]}
        for number, field in enumerate(declared["fields"]):
            data = _left_out(field, named.reader)
            within = [one.within() for one in wanted if one.parts[:1] == (field["name"],)]
            absent.append(
                None if data is None else self.constant(node.children[number], data, within, in_array=in_array)
            )
            aliases += [(alias, number) for alias in field.get("aliases", ()) if alias not in own]
        return node._replace(absent=tuple(absent), keys=tuple(aliases))

    def scalar(self, node: Node, declared: Mapping[str, Any]) -> Node:
        if node.kind == "enum":
            return node._replace(data=str(declared.get("default", "")).encode())
        logical = logical_type(declared) or ""
        unit = UNIT_OF_TIME.get(logical)
        return node if unit is None else node._replace(unit_ns=UNITS[unit], is_local=logical.startswith("local-"))


def avros_names(branches: Sequence[Any], named: NamedTypes) -> Iterator[str | None]:
    """Yield what Avro's own JSON calls each branch of a union, None where that may mean something else."""
    types = [looked_up(branch, named) for branch in branches]
    fields = {
        name
        for declared in types
        if declared["type"] == "record"
        for field in declared["fields"]
        for name in (field["name"], *field.get("aliases", ()))
    }
    maps = [declared for declared in types if declared["type"] == "map"]
    for declared in types:
        name = declared.get("name", declared["type"])
        is_plain = declared["type"] == "null" or name in fields
        if maps and (declared["type"] != "map" or _may_be_object(maps[0]["values"], named)):
            is_plain = True
        yield None if is_plain else name


def _may_be_object(declared: Any, named: NamedTypes) -> bool:
    declared = looked_up(declared, named)
    if isinstance(declared, list):  # any branch but null may be an object, in Avro's own form
        return True
    return declared["type"] in ("record", "map")
