"""Event schemas of every type that Avro has, drawn from chance, with types that contain themselves."""

from __future__ import annotations

from random import Random
from typing import Any

SCALARS = ("null", "boolean", "int", "long", "float", "double", "bytes", "string", "enum", "fixed")
LOGICAL = (
    {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    {"type": "string", "logicalType": "uuid"},
    {"type": "int", "logicalType": "date"},
    {"type": "int", "logicalType": "time-millis"},
    {"type": "long", "logicalType": "time-micros"},
    {"type": "long", "logicalType": "timestamp-millis"},
    {"type": "long", "logicalType": "local-timestamp-micros"},
)


class AnySchemas:
    """Draws types; the names of records, enums and fixed are its own."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._names = 0
        self._open: list[str] = []
        """Records that are being defined: a type in them may contain them."""
        self._closed: list[str] = []

    def event(self) -> dict[str, Any]:
        """Return the schema of an event, which has a text first."""
        fields = [{"name": f"f{n}", "type": self.type(3)} for n in range(self._rng.randint(1, 5))]
        return {"type": "record", "name": "Event", "fields": [{"name": "id", "type": "string"}, *fields]}

    def type(self, level: int) -> Any:
        """Return a type of at most so many levels."""
        rng = self._rng
        kind = rng.choice((*SCALARS, "logical", "array", "map", "union", "union", "record", "record", "again"))
        if level == 0 and kind in ("array", "map", "union", "record"):
            kind = rng.choice(SCALARS)
        match kind:
            case "logical":
                return dict(rng.choice(LOGICAL))
            case "enum":
                return {"type": "enum", "name": self._name("E"), "symbols": ["a", "b", "c"][: rng.randint(1, 3)]}
            case "fixed":
                return {"type": "fixed", "name": self._name("F"), "size": rng.randint(1, 20)}
            case "array":
                return {"type": "array", "items": self.type(level - 1)}
            case "map":
                return {"type": "map", "values": self.type(level - 1)}
            case "union":
                return self._union(level)
            case "record":
                return self._record(level)
            case "again":
                return self._again()
        return kind

    def _name(self, letter: str) -> str:
        self._names += 1
        return f"{letter}{self._names}"

    def _record(self, level: int) -> Any:
        name = self._name("R")
        self._open.append(name)
        fields = [{"name": f"x{n}", "type": self.type(level - 1)} for n in range(self._rng.randint(1, 3))]
        if self._rng.random() < 0.2:
            fields.append({"name": "next", "type": ["null", name]})
        self._open.pop()
        self._closed.append(name)
        return {"type": "record", "name": name, "fields": fields}

    def _again(self) -> Any:
        """Return a type by its name: one that is defined, or being defined, which then may be null."""
        if self._open and self._rng.random() < 0.5:
            return ["null", self._rng.choice(self._open)]
        return self._rng.choice(self._closed) if self._closed else "string"

    def _union(self, level: int) -> Any:
        branches: dict[str, Any] = {}
        for _ in range(self._rng.randint(1, 5)):
            known = len(self._closed)
            drawn = self.type(level - 1)
            name = _name_of(drawn)
            if isinstance(drawn, list) or name in branches:
                del self._closed[known:]  # what is defined in a branch that is left out is not there
            else:
                branches[name] = drawn
        return list(branches.values()) or ["null"]


def _name_of(declared: Any) -> str:
    """Return what a union may have once."""
    if isinstance(declared, str):
        return declared
    return "union" if isinstance(declared, list) else str(declared.get("name", declared["type"]))
