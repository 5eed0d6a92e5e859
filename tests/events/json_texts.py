"""Random values of a schema, and random ways to write each as JSON."""

from __future__ import annotations

import json
import struct
from random import Random
from typing import Any
from uuid import UUID

from user_state.spec.avro_types import logical_type, looked_up, named_types
from user_state.spec.event_schema import EventSchema

TEXTS = ("", "a", "b", "é\U0001f389", "x" * 64, 'q"\\/\b\f\n\r\t', "\x00\x7f", "12.5", "0", "2026-01-31", "string")
KEYS = [text for text in TEXTS if text != "string"]  # which may be a branch of a union
NUMBERS = {"int": (0, -1, 10, 2**31 - 1, -(2**31)), "long": (0, -1, 1200, 2**53 + 1, 2**63 - 1, -(2**63))}
REALS = (0.0, -0.0, 1.5, 0.1, 16.7, -1e300, 5e-324, 1e22, 123456789012345680.0, 3.0, 9007199254740993.0)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class JsonWriting:
    """Draws values, and how they are written.

    Args:
        rng: draws.
        schema: of events.
    """

    def __init__(self, rng: Random, schema: EventSchema) -> None:
        self._rng = rng
        self._named = named_types(schema.whole)

    def value(self, declared: Any, level: int = 0) -> tuple[str, Any]:
        """Return a random value as JSON, and as fastavro has it without logical types."""
        rng, declared = self._rng, looked_up(declared, self._named)
        if isinstance(declared, list):
            return self._union([looked_up(branch, self._named) for branch in declared], level)
        match declared["type"]:
            case "record":
                fields = {field["name"]: self.value(field["type"], level + 1) for field in declared["fields"]}
                members = [(name, text) for name, (text, _) in fields.items()]
                members += [(f"{name}_", self._anything(2)) for name in fields if rng.random() < 0.1]
                if rng.random() < 0.3:
                    rng.shuffle(members)
                return self._object(members), {name: value for name, (_, value) in fields.items()}
            case "array":
                items = [self.value(declared["items"], level + 1) for _ in range(self._count(level))]
                return self._array([text for text, _ in items]), [value for _, value in items]
            case "map":
                entries = [
                    (rng.choice(KEYS), self.value(declared["values"], level + 1)) for _ in range(self._count(level))
                ]
                members = [(key, text) for key, (text, _) in entries]
                return self._object(members), {key: value for key, (_, value) in entries}
            case "enum":
                symbol = rng.choice(declared["symbols"])
                return self._text(symbol), symbol
            case "fixed" | "bytes":
                return self._bytes(declared)
        return self._scalar(declared)

    def _union(self, branches: list[Any], level: int) -> tuple[str, Any]:
        """Return a value as itself where it is one branch's alone, or as in Avro's own JSON."""
        rng = self._rng
        if level > 12 and {"type": "null"} in branches:
            return "null", None
        objects = [one for one in branches if one["type"] in ("record", "map")]
        valued = [one for one in branches if one["type"] != "null"]
        plain = [one for one in branches if one["type"] in ("null", "string", "boolean", "array")]
        plain += [one for one in (objects if len(objects) == 1 else ()) if one not in plain]
        plain += [one for one in (valued if len(valued) == 1 else ()) if one not in plain]
        named = [] if any(one["type"] == "map" for one in objects) else valued
        ways = [(one, False) for one in plain] + [(one, True) for one in named]
        if not ways:
            raise UnwritableError
        branch, is_named = rng.choice(ways)
        if not is_named:
            return self.value(branch, level + 1)
        text, value = self.value(branch, level + 1)
        if logical_type(branch) == "decimal":
            value = rng.randbytes(branch.get("size", rng.randrange(4)))
            text = self._text(value.decode("latin-1"))
        return self._object([(branch.get("name", branch["type"]), text)]), value

    def _bytes(self, declared: Any) -> tuple[str, Any]:
        rng = self._rng
        data = rng.randbytes(declared.get("size", rng.randrange(4)))
        match logical_type(declared):
            case "uuid":
                text = str(UUID(bytes=data))
                return self._text(rng.choice((text, text.upper(), data.decode("latin-1")))), data
            case "decimal":
                scale, size = declared.get("scale", 0), declared.get("size")
                unscaled = rng.choice((0, -1, 5, 120, 127, 128, -128, -129, 999_999_999))
                least = (unscaled.bit_length() if unscaled >= 0 else (~unscaled).bit_length()) // 8 + 1
                if size is not None and least > size:
                    unscaled, least = 0, 1
                number = (
                    f"{unscaled}e-{scale}"
                    if rng.random() < 0.5
                    else f"{unscaled}{'00' if unscaled else ''}E{-2 - scale:+}"
                )
                data = unscaled.to_bytes(size or least, "big", signed=True)
                return (number if rng.random() < 0.5 else self._text(number)), data
        return self._text(data.decode("latin-1")), data

    def _scalar(self, declared: Any) -> tuple[str, Any]:
        rng, kind = self._rng, declared["type"]
        match kind:
            case "null":
                return "null", None
            case "boolean":
                value: Any = rng.random() < 0.5
                return json.dumps(value), value
            case "string":
                value = rng.choice(TEXTS)
                return self._text(value), value
            case "float" | "double":
                value = rng.choice(REALS)
                if kind == "float":
                    value = rng.choice([one for one in REALS if abs(one) < 1e30])
                if rng.random() < 0.2:
                    whole = rng.choice(NUMBERS["long"])
                    return str(whole), _as(kind, float(whole))
                text = rng.choice((repr(value), f"{value:.20e}", f"{value:.17E}"))
                return text, _as(kind, float(text))
        value = rng.choice(NUMBERS[kind])
        return self._whole(value), value

    def _whole(self, value: int) -> str:
        text = str(value)
        zeros = len(text) - len(text.rstrip("0"))
        spelled = [text, text, f"{text}.0", f"{text}.000e0", f"{text}e+0"]
        spelled += [f"{text}0E-1", f"{text[: len(text) - zeros]}e{zeros}"] if value else ["-0", "0e999999999999"]
        return self._rng.choice(spelled)

    def _text(self, text: str) -> str:
        rng = self._rng
        escapes = rng.random() < 0.5
        return f'"{"".join(self._character(one, escapes=escapes and rng.random() < 0.5) for one in text)}"'

    def _character(self, one: str, *, escapes: bool) -> str:
        if one in _ESCAPES and not escapes:
            return _ESCAPES[one]
        if one == "/" and escapes:
            return "\\/"
        if escapes or one < " ":
            units = struct.unpack(f">{len(one.encode('utf-16-be')) // 2}H", one.encode("utf-16-be"))
            return "".join(self._rng.choice((f"\\u{unit:04x}", f"\\u{unit:04X}")) for unit in units)
        return one

    def _object(self, members: list[tuple[str, str]]) -> str:
        pairs = [f"{self._text(name)}{self._space()}:{self._space()}{text}" for name, text in members]
        return self._closed("{", pairs, "}")

    def _array(self, items: list[str]) -> str:
        return self._closed("[", items, "]")

    def _closed(self, begin: str, parts: list[str], end: str) -> str:
        return f"{begin}{self._space()}{f'{self._space()},{self._space()}'.join(parts)}{self._space()}{end}"

    def _space(self) -> str:
        return "" if self._rng.random() < 0.7 else self._rng.choice((" ", "\n", "\t \r\n"))

    def _anything(self, level: int) -> str:
        rng = self._rng
        match rng.randrange(7 if level else 5):
            case 0:
                return self._text(rng.choice(TEXTS))
            case 1:
                return rng.choice(("1", "-0", "1e999", "0.5", "123456789" * 30))
            case 2:
                return rng.choice(("true", "false", "null"))
            case 3:
                return "[]"
            case 4:
                return "{}"
            case 5:
                return self._array([self._anything(level - 1) for _ in range(2)])
        return self._object([(rng.choice(TEXTS), self._anything(level - 1)) for _ in range(2)])

    def _count(self, level: int) -> int:
        return 0 if level > 8 else self._rng.choice((0, 1, 2, 3))


class UnwritableError(Exception):
    """No value of a union can be written for sure: it has maps and records that only their values would tell apart."""


def _as(kind: str, value: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", value))[0]) if kind == "float" else value
