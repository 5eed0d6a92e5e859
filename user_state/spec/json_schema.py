"""A JSON Schema as the contract of JSON events: translated once into an Avro schema, the model that all else knows.

    JSON Schema                                     Avro
    boolean, integer, number, string, null          boolean, long, double, string, null
    array with `items`                              array
    object with `properties`                        record; its members that are named nowhere are read over
    object with `additionalProperties` alone        map
    object with neither                             record without fields: any object
    a member that is not `required`                 a union with null, null where it is left out
    a list of types, `anyOf`, `oneOf`, `nullable`   union
    `const`, `enum` without `type`                  the type of the values
    `$ref` to a place in the same file              what is there; an object may contain itself

Keywords that limit values (`minimum`, `pattern`, `enum`, `format`, ...) do not change the type, and are not checked.
Those that change what an object is (`allOf`, `patternProperties`, ...), references to other files, and names that Avro
does not have are refused, with their place in the schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from user_state.errors import SpecError, shorten

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCALARS = {"boolean": "boolean", "integer": "long", "number": "double", "string": "string", "null": "null"}
_REFUSED = (
    *("allOf", "not", "if", "patternProperties", "propertyNames", "dependentSchemas", "prefixItems"),
    *("unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef", "discriminator"),
)
MOST_LEVELS = 64


def is_json_schema(original: Any) -> bool:
    """Return whether a JSON value is a JSON Schema and not an Avro schema."""
    return isinstance(original, dict) and ("$schema" in original or original.get("type") == "object")


def avro_of(schema: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return the Avro schema that reads what a JSON Schema describes.

    Args:
        schema: as JSON values; of an object.
        name: the record's.

    Raises:
        SpecError: it cannot be translated; says what is in the way, and where.
    """
    made = _Translation(schema).type(schema, "#", name, 0)
    if not isinstance(made, dict) or made["type"] != "record":
        raise SpecError("expected a JSON Schema of an object with `properties`, got one of something else")
    return made


class _Translation:
    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._whole = whole
        self._named: dict[str, str] = {}
        """Records by where they are declared."""
        self._names: set[str] = set()

    def type(self, declared: Any, at: str, name: str, level: int) -> Any:
        """Return the Avro type of what is declared at a place; `name` is for records."""
        if declared is True or declared == {}:
            _refuse(at, "anything", "a type")
        if not isinstance(declared, Mapping) or level > MOST_LEVELS:
            _refuse(at, "levels without end" if isinstance(declared, Mapping) else shorten(declared), "a schema")
        for keyword in _REFUSED:
            if keyword in declared:
                _refuse(at, f"`{keyword}`", "types, properties, items, anyOf, oneOf and references")
        if "$ref" in declared:
            place = declared["$ref"]
            return self.type(self._at(place, at), place, name if place == "#" else place.rpartition("/")[2], level + 1)
        branches = self._branches(declared, at, name, level)
        if declared.get("nullable") is True and "null" not in branches:
            branches = ["null", *branches]
        return branches[0] if len(branches) == 1 else branches

    def _at(self, place: Any, at: str) -> Any:
        if not isinstance(place, str) or (place != "#" and not place.startswith("#/")):
            _refuse(at, f"a reference to {shorten(place)}", "one to a place in this file, such as #/$defs/Device")
        found: Any = self._whole
        for part in place.split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or key not in found:
                _refuse(at, f"a reference to {shorten(place)}, which is not there", "one to a place in this file")
            found = found[key]
        return found

    def _branches(self, declared: Mapping[str, Any], at: str, name: str, level: int) -> list[Any]:
        """Return the types that a value may have, each once."""
        found: list[Any] = []
        several = next((keyword for keyword in ("anyOf", "oneOf") if keyword in declared), None)
        if several is not None and ("properties" in declared or not isinstance(declared[several], list)):
            _refuse(at, f"`{several}` beside `properties`", "one of them")
        if several is not None:
            for number, one in enumerate(declared[several]):
                made = self.type(one, f"{at}/{several}/{number}", f"{name}_{number}", level + 1)
                found += made if isinstance(made, list) else [made]
        else:
            kinds = declared.get("type", _kind_of(declared))
            for kind in kinds if isinstance(kinds, list) else [kinds]:
                found.append(self._one(kind, declared, at, name, level))
        distinct: list[Any] = []
        for one in found:
            if one not in distinct:
                distinct.append(one)
        if "double" in distinct and "long" in distinct:
            distinct.remove("long")  # an integer is a number
        objects = [one for one in distinct if isinstance(one, dict) and one["type"] in ("record", "map")]
        arrays = [one for one in distinct if isinstance(one, dict) and one["type"] == "array"]
        references = [one for one in distinct if isinstance(one, str) and one in self._names]
        if len(objects) + len(references) > 1 or len(arrays) > 1:
            _refuse(at, "several kinds of objects or arrays", "at most one of each, since nothing tells which it is")
        if not distinct:
            _refuse(at, "no type", "a type")
        return sorted(distinct, key=lambda one: one != "null")

    def _one(self, kind: Any, declared: Mapping[str, Any], at: str, name: str, level: int) -> Any:
        if isinstance(kind, str) and kind in _SCALARS:
            return _SCALARS[kind]
        if kind == "array":
            if not isinstance(declared.get("items"), Mapping):
                _refuse(at, "an array without `items`", "the type of its items")
            return {"type": "array", "items": self.type(declared["items"], f"{at}/items", f"{name}_item", level + 1)}
        if kind != "object":
            _refuse(at, shorten(kind), f"a type: {', '.join(_SCALARS)}, array or object")
        values = declared.get("additionalProperties")
        if "properties" not in declared and isinstance(values, Mapping) and values:
            made = self.type(values, f"{at}/additionalProperties", f"{name}_value", level + 1)
            return {"type": "map", "values": made}
        return self._record(declared, at, name, level)

    def _record(self, declared: Mapping[str, Any], at: str, name: str, level: int) -> Any:
        if at in self._named:
            return self._named[at]
        plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
        plain = plain if _NAME.fullmatch(plain) else f"_{plain}"
        while plain in self._names:
            plain += "_"
        self._names.add(plain)
        self._named[at] = plain
        required = declared.get("required", [])
        properties = declared.get("properties", {})
        if not isinstance(properties, Mapping) or not isinstance(required, list):
            _refuse(at, "other `properties` or `required`", "an object and a list")
        fields = []
        for member, of in properties.items():
            place = f"{at}/properties/{member.replace('~', '~0').replace('/', '~1')}"
            if not _NAME.fullmatch(member):
                _refuse(place, f"the name {shorten(member)}", "letters, digits and _, as Avro has names")
            made = self.type(of, place, f"{plain}_{member}", level + 1)
            if member in required:
                fields.append({"name": member, "type": made})
                continue
            branches = [one for one in (made if isinstance(made, list) else [made]) if one != "null"]
            fields.append({"name": member, "type": ["null", *branches], "default": None})
        return {"type": "record", "name": plain, "fields": fields}


def _kind_of(declared: Mapping[str, Any]) -> Any:
    """Return the type of a schema that names none."""
    if "properties" in declared or "additionalProperties" in declared:
        return "object"
    if "items" in declared:
        return "array"
    values = [declared["const"]] if "const" in declared else declared.get("enum", [])
    kinds = {None: "null", True: "boolean", False: "boolean"}
    found = [kinds[value] if value is None or isinstance(value, bool) else _KINDS.get(type(value)) for value in values]
    return list(dict.fromkeys(found)) if found else None


_KINDS = {int: "integer", float: "number", str: "string"}


def _refuse(at: str, got: str, expected: str) -> NoReturn:
    raise SpecError(f"cannot translate this JSON Schema: at {at}: expected {expected}; got {got}")
