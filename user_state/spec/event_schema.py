"""An event's Avro schema: its fields as the spec and the core see them, and its fingerprint.

The only file that reads `.avsc` files for events. It never reads events.

The fingerprint is the one of Avro's single-object encoding: CRC-64-AVRO over the schema's Parsing Canonical Form,
eight bytes, least significant first. fastavro spells these bytes, in this order, as hexadecimal digits. Canonical
form leaves out logical types, defaults and docs, so `parsed` and `original` have the same fingerprint.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import fastavro.schema

from user_state.errors import SpecError, shorten
from user_state.spec.avro_types import logical_type, named_types
from user_state.spec.bodies import Bodies
from user_state.spec.event_field import EventFields
from user_state.spec.json_schema import avro_of, is_json_schema
from user_state.spec.problems import did_you_mean, listing
from user_state.spec.schema_bounds import check_bounds

BUNDLED = Path(__file__).parent.parent / "schemas"
"""The folder of the schemas that come with this package."""


@dataclass(frozen=True)
class EventSchema:
    """A parsed event schema, equal to any other with its fingerprint.

    Attributes:
        name: the record's full name.
        parsed: what fastavro reads and writes events by. Logical types are left out, so that a timestamp is read as
            the integer it is, a UUID as text, and no event costs a `datetime`.
        original: the schema as its file has it, as JSON values; what the header of an Avro file should carry.
        whole: the schema as fastavro parses it, logical types included; what schemas are compared by.
        fingerprint: CRC-64-AVRO, eight bytes, little-endian, as in Avro's single-object encoding.
        fields: the record's fields by name or path, listed in the order of the schema.
        file: the file as the spec names it; empty if the schema came from elsewhere.
        versions: other schemas that events may have been written with, each of which resolves to this one.
        bodies: how message bodies are encoded.
        is_json: whether the file has a JSON Schema, of which this is the translation.
    """

    name: str
    parsed: Any = field(compare=False, repr=False)
    original: Any = field(compare=False, repr=False)
    whole: Any = field(compare=False, repr=False)
    fingerprint: bytes
    fields: EventFields = field(compare=False, repr=False)
    file: str = field(default="", compare=False)
    versions: tuple[EventSchema, ...] = field(default=(), compare=False, repr=False)
    bodies: Bodies = field(default_factory=Bodies, compare=False, repr=False)
    is_json: bool = field(default=False, compare=False, repr=False)

    def knows(self, writer: EventSchema) -> bool:
        """Return whether `writer` is this schema or one of its versions, so that its fingerprint says what to do."""
        return writer.fingerprint in {known.fingerprint for known in (self, *self.versions)}

    @property
    def has_logical_bytes(self) -> bool:
        """Return whether any value is a UUID's or a decimal's bytes."""
        return _has_logical_bytes(self.whole)

    @property
    def label(self) -> str:
        """Return the schema's name and fingerprint, and its file if it has one, for messages."""
        place = f" ({self.file})" if self.file else ""
        return f"{self.fingerprint.hex()} {self.name}{place}"


def load_event_schema(name: str, beside: Path) -> EventSchema:
    """Read the schema `name`, a path relative to the folder `beside` or the name of a bundled one.

    Raises:
        SpecError: there is no such file, or it holds no Avro record schema.
    """
    path = _find(name, beside)
    try:
        text = path.read_bytes().decode("utf-8-sig")
        original = json.loads(text)
    except OSError as exc:
        raise SpecError(f"{path}: cannot be read: {exc.strerror}") from exc
    except json.JSONDecodeError as exc:
        raise SpecError(
            f"{path}:{exc.lineno}: expected an Avro schema in JSON, got invalid JSON: {exc.msg.lower()}"
        ) from exc
    except (ValueError, RecursionError) as exc:
        raise SpecError(f"{path}: expected an Avro schema as JSON in UTF-8: {shorten(str(exc))}") from exc
    try:
        if is_json_schema(original):
            translated = avro_of(original, path.name.partition(".")[0])
            return replace(parse_event_schema(translated), file=name, is_json=True)
        return replace(parse_event_schema(original), file=name)
    except SpecError as exc:
        raise SpecError(f"{path}: {exc}") from exc.__cause__


def parse_event_schema(original: Any) -> EventSchema:
    """Return the schema that the JSON value `original` describes.

    Raises:
        SpecError: it is no Avro record schema, or one of which short events may take long to decode (`schema_bounds`).
    """
    if not isinstance(original, dict) or original.get("type") != "record":
        got = original.get("type", original) if isinstance(original, dict) else original
        raise SpecError(f"expected an Avro schema of type record, got {shorten(got)}")
    if not isinstance(original.get("fields"), list):
        raise SpecError(f"expected an Avro schema with a list of fields, got {shorten(original.get('fields'))}")
    try:
        whole = fastavro.schema.parse_schema(original)
        check_bounds(whole)
        parsed = fastavro.schema.parse_schema(_without_logical_types(original))
        canonical = fastavro.schema.to_parsing_canonical_form(parsed)
    except SpecError:
        raise
    # A malformed schema makes fastavro raise whatever Python raises where it stumbles.
    except Exception as exc:
        raise SpecError(f"expected an Avro schema, but {type(exc).__name__}: {shorten(str(exc), 200)}") from exc
    for record in named_types(whole).values():
        met = Counter(part["name"] for part in record.get("fields", ()))
        twice = next((name for name, times in met.items() if times > 1), None)
        if twice is not None:  # fastavro does not mind
            raise SpecError(f"expected different field names in {record['name']}, got {twice} twice")
    fingerprint = bytes.fromhex(fastavro.schema.fingerprint(canonical, "CRC-64-AVRO"))
    return EventSchema(whole["name"], parsed, original, whole, fingerprint, EventFields(whole))


def _find(name: str, beside: Path) -> Path:
    candidates = [beside / name]
    # A bundled schema is a plain name; a path can only be meant from where the spec stands.
    if Path(name).name == name:
        candidates.append(BUNDLED / name)
    try:
        found = next((path for path in candidates if path.is_file()), None)
        if found is not None:
            return found
        if candidates[0].exists():
            raise SpecError(f"expected an Avro schema file, got {shorten(name)}, which is not a file")
    except OSError as exc:
        raise SpecError(f"expected an Avro schema file, got {shorten(name)}: {exc.strerror}") from exc
    there = sorted({path.name for folder in (beside, BUNDLED) for path in folder.glob("*.avsc")})
    text = f"expected an Avro schema file, got {shorten(name)}: neither in the folder of the spec nor in the package"
    raise SpecError(f"{text}{did_you_mean(name, there)}; available schemas: {listing(there)}")


def _has_logical_bytes(declared: Any) -> bool:
    if isinstance(declared, list):
        return any(map(_has_logical_bytes, declared))
    if not isinstance(declared, dict):
        return False
    if logical_type(declared) in ("uuid", "decimal") and declared["type"] != "string":
        return True
    inside = [declared[key] for key in ("items", "values", "type") if key in declared]
    return any(map(_has_logical_bytes, inside + [part["type"] for part in declared.get("fields", ())]))


def _without_logical_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_without_logical_types(branch) for branch in schema]
    if isinstance(schema, dict):
        return {
            # Only these keys lead to schemas: a default or a property of the user's own stays as it is.
            key: _without_logical_types(value) if key in ("type", "items", "values", "fields") else value
            for key, value in schema.items()
            if key != "logicalType"
        }
    return schema
