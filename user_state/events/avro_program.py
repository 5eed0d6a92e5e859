"""How records of one Avro schema are read as those of another: decided once, as a program that the core obeys.

A program is nodes, one for each way in which a type is read (`native/events/avro_program.hpp`). By the rules of
`user_state.spec.resolution` it says which fields are kept, promoted, read over or filled in, which symbol becomes
which, which branch of a union is read as what. A node is told which places want its value:

    a path        `device.os`; in a map the rest of the path is one key, `attributes.country`, unless the map's values
                  have fields themselves; through an array to each item
    a place       the number of a column

What nobody wants is shared by name, so that a type that contains itself is a program of finite length; a path goes only
as deep as it is long.

Source: Apache Avro 1.12 specification, "Schema Resolution".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from user_state.events.default_bytes import default_bytes
from user_state.spec.avro_types import in_words, logical_type, looked_up
from user_state.spec.paths import key_in_map
from user_state.spec.resolution import NamedPair, field_sources, matches, read_as


class Node(NamedTuple):
    """How values of one type are read.

    Attributes:
        kind: `null`, `boolean`, `int`, `long`, `float`, `double`, `string`, `bytes`, `enum`, `fixed`, `uuid`,
        `decimal`,
            `fixed decimal`; `real of int`, `real of long`, `bytes of string` where it is promoted; `union`, `record`,
            `array`, `map`; `constant` for what stands for a field that was not written; `refused`.
        appends: whether it lies in an array.
        size: bytes of a fixed, of whatever kind.
        scale: of a decimal.
        symbols: what each symbol of an enum is read as, None where the reader has neither it nor a default.
        children: branches, fields, items, values, or a constant's value.
        constants: of a record, for the fields that only the reader has.
        written: of a record, what the writer calls its fields.
        names: of a record, what the reader calls its fields and constants; None for one that is read over. Of a
            union in JSON, what Avro's own JSON calls its branches; None for one that may mean something else.
        keys: of a map, (key, child) where a key's value is wanted. Of a record in JSON, (alias, number of the field);
            of a union in JSON, (name, branch) of those that may mean something else.
        places: where the value goes.
        beneath: where it and what lies in it goes.
        data: the bytes of a constant; of an enum in JSON, its default symbol.
        why: why it is refused.
        unit_ns: of a time in JSON, nanoseconds in its unit; 0 for what is none.
        is_local: whether that is a local time.
        absent: of a record in JSON, for each field the constant that it has where it is left out; None for none.
    """

    kind: str
    appends: bool = False
    size: int = 0
    scale: int = 0
    symbols: tuple[str | None, ...] = ()
    children: tuple[int, ...] = ()
    constants: tuple[int, ...] = ()
    written: tuple[str, ...] = ()
    names: tuple[str | None, ...] = ()
    keys: tuple[tuple[str, int], ...] = ()
    places: tuple[int, ...] = ()
    beneath: tuple[int, ...] = ()
    data: bytes = b""
    why: str = ""
    unit_ns: int = 0
    is_local: bool = False
    absent: tuple[int | None, ...] = ()


class Program(NamedTuple):
    """Nodes by number, and which is the record's."""

    nodes: list[Node]
    root: int


class Wanted(NamedTuple):
    """A place that wants a value, and the parts of its path from here on."""

    place: int
    parts: tuple[str, ...]

    def within(self) -> Wanted:
        """Return it as what lies at the first part sees it."""
        return Wanted(self.place, self.parts[1:])


def wanted_of(wanted: Mapping[str, Sequence[int]] | None) -> list[Wanted]:
    """Return places by path as the root sees them."""
    return [Wanted(place, tuple(path.split("."))) for path, places in (wanted or {}).items() for place in places]


def program_of(writer: Any, reader: Any = None, wanted: Mapping[str, Sequence[int]] | None = None) -> Program:
    """Return how records of `writer` are read as `reader`.

    Args:
        writer: the schema that the record was written with, as fastavro parses it, with its logical types.
        reader: the one that it is read as; it must resolve (see `mismatches`). The writer's own, if not given.
        wanted: the places that want the value at each path, the paths being the reader's.
    """
    reader = writer if reader is None else reader
    compiling = Compiling(NamedPair.of(writer, reader))
    root = compiling.node(writer, reader, compiling.named, wanted_of(wanted), str(writer["name"]), in_array=False)
    return Program([node for node in compiling.nodes if node is not None], root)


class Compiling:
    """Goes through two schemas side by side; `json_program` has more to say of some nodes."""

    def __init__(self, named: NamedPair) -> None:
        self.named = named
        self.nodes: list[Node | None] = []
        self._as_written = NamedPair(named.writer, named.writer)
        self._as_read = NamedPair(named.reader, named.reader)
        self._shared: dict[tuple[int, int, str, str], int] = {}

    def node(
        self, writer: Any, reader: Any, named: NamedPair, wanted: Sequence[Wanted], field: str, *, in_array: bool
    ) -> int:
        """Return the number of the node that reads `writer` as `reader`; `field` is for messages."""
        writer, reader = looked_up(writer, named.writer), looked_up(reader, named.reader)
        if isinstance(writer, list):
            branches = [self.node(branch, reader, named, wanted, field, in_array=in_array) for branch in writer]
            made = self.union(Node("union", children=tuple(branches)), writer, named)
            return self._add(_asked(made, wanted, in_array))
        if isinstance(reader, list):
            branch = read_as(writer, reader, named)
            reader = reader if branch is None else looked_up(branch, named.reader)
        if isinstance(reader, list) or not matches(writer, reader, named):
            why = f"{in_words(writer)} in {field}, which is read as {in_words(reader)}"
            return self._add(_asked(Node("refused", why=why), wanted, in_array))
        match writer["type"]:
            case "record":
                return self._record(writer, reader, named, wanted, in_array=in_array)
            case "array":
                items = self.node(writer["items"], reader["items"], named, wanted, field, in_array=True)
                return self._add(_asked(Node("array", children=(items,)), wanted, in_array=True, is_leaf=False))
            case "map":
                return self._map(writer, reader, named, wanted, field, in_array=in_array)
        return self._add(_asked(self.scalar(_scalar(writer, reader), reader), wanted, in_array))

    def union(self, node: Node, branches: Sequence[Any], named: NamedPair) -> Node:
        """Return the node of a union with what else is to be known of it; here and below, nothing is."""
        return node

    def record(
        self, node: Node, declared: Mapping[str, Any], named: NamedPair, wanted: Sequence[Wanted], *, in_array: bool
    ) -> Node:
        """Return the node of the record `declared`, as above."""
        return node

    def scalar(self, node: Node, declared: Mapping[str, Any]) -> Node:
        """Return the node of a scalar, as above."""
        return node

    def constant(self, child: int, data: bytes, wanted: Sequence[Wanted], *, in_array: bool) -> int:
        """Return the number of the node that has `data` where the node `child` would read it."""
        return self._add(_asked(Node("constant", children=(child,), data=data), wanted, in_array, is_leaf=False))

    def _record(
        self,
        writer: Mapping[str, Any],
        reader: Mapping[str, Any],
        named: NamedPair,
        wanted: Sequence[Wanted],
        *,
        in_array: bool,
    ) -> int:
        key = (id(named.writer), id(named.reader), writer["name"], reader["name"])
        if not wanted and key in self._shared:
            return self._shared[key]
        number = self._add(None)
        if not wanted:
            self._shared[key] = number
        sources = field_sources(writer, reader)
        read_names = {source: name for name, source in sources.items() if source is not None}
        types = {field["name"]: field["type"] for field in reader["fields"]}
        children: list[int] = []
        for field in writer["fields"]:
            name = read_names.get(field["name"])
            if name is None:
                pair, declared, within = self._as_written, field["type"], list[Wanted]()
                if named.writer is named.reader:
                    pair = named
            else:
                pair, declared, within = named, types[name], _within(name, wanted)
            children.append(self.node(field["type"], declared, pair, within, name or field["name"], in_array=in_array))
        names: list[str | None] = [read_names.get(field["name"]) for field in writer["fields"]]
        constants: list[int] = []
        for field in reader["fields"]:
            if sources[field["name"]] is None:
                names.append(field["name"])
                within = _within(field["name"], wanted)
                constants.append(self._constant(field, NamedPair(named.reader, named.reader), within, in_array))
        made = Node(
            "record",
            children=tuple(children),
            constants=tuple(constants),
            written=tuple(field["name"] for field in writer["fields"]),
            names=tuple(names),
        )
        made = self.record(made, reader, named, wanted, in_array=in_array)
        self.nodes[number] = _asked(made, wanted, in_array)
        return number

    def _constant(self, field: Mapping[str, Any], named: NamedPair, wanted: Sequence[Wanted], in_array: bool) -> int:
        data = default_bytes(field["type"], field["default"], named.reader)
        child = self.node(field["type"], field["type"], named, wanted, field["name"], in_array=in_array)
        return self.constant(child, data, wanted, in_array=in_array)

    def _map(
        self, writer: Any, reader: Any, named: NamedPair, wanted: Sequence[Wanted], field: str, *, in_array: bool
    ) -> int:
        by_key: dict[str, list[Wanted]] = {}
        for one in wanted:
            if one.parts:
                key, rest = key_in_map(one.parts, reader["values"], named.reader)
                by_key.setdefault(key, []).append(Wanted(one.place, rest))
        types = (writer["values"], reader["values"], named)
        others = self.node(*types, [], field, in_array=in_array)
        keys = [(key, self.node(*types, within, field, in_array=in_array)) for key, within in by_key.items()]
        return self._add(_asked(Node("map", children=(others,), keys=tuple(keys)), wanted, in_array))

    def _add(self, node: Node | None) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1


def _within(name: str, wanted: Iterable[Wanted]) -> list[Wanted]:
    return [one.within() for one in wanted if one.parts[:1] == (name,)]


def _asked(node: Node, wanted: Sequence[Wanted], in_array: bool, *, is_leaf: bool = True) -> Node:
    """Return the node with the places that want its value."""
    if not wanted:
        return node
    takes = is_leaf and node.kind != "union"
    places = tuple(one.place for one in wanted if not one.parts) if takes else ()
    return node._replace(places=places, beneath=tuple(one.place for one in wanted), appends=in_array)


def _scalar(writer: Mapping[str, Any], reader: Mapping[str, Any]) -> Node:
    kind = str(writer["type"])
    logical = logical_type(reader)
    if kind == "enum":
        known = set(reader["symbols"])
        symbols = (symbol if symbol in known else reader.get("default") for symbol in writer["symbols"])
        return Node("enum", symbols=tuple(symbols))
    if kind == "fixed":
        if logical == "decimal":
            return Node("fixed decimal", size=writer["size"], scale=reader.get("scale", 0))
        return Node("uuid" if logical == "uuid" else "fixed", size=writer["size"])
    read = _PROMOTED.get((kind, reader["type"]), kind)
    if read == "bytes" and logical == "decimal":
        return Node("decimal", scale=reader.get("scale", 0))
    return Node(read)


_PROMOTED = {
    ("string", "bytes"): "bytes of string",
    ("bytes", "string"): "string",
    ("int", "float"): "real of int",
    ("int", "double"): "real of int",
    ("long", "float"): "real of long",
    ("long", "double"): "real of long",
}
"""What is not read as it was written; an int is a long, and a float a double, as it stands."""
