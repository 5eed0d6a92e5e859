"""Whether the event fields a spec names exist, and have the types that what it does with them needs.

Works on the values as they stand in the file and skips what is malformed, which `model_problems` reports, so that
one mistake does not hide another.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from user_state.errors import shorten
from user_state.spec.aggregations import AGGREGATIONS, ANY_FIELD, KEY_FIELD, MEASURES, NUMBER
from user_state.spec.embedding import Embedding
from user_state.spec.event_field import EventField
from user_state.spec.event_schema import EventSchema
from user_state.spec.filters import Compares, Contains, Exists, read_filter
from user_state.spec.hints import operator_in_text
from user_state.spec.literals import fits, number_as
from user_state.spec.problems import KeyPath, Problem, did_you_mean, listing
from user_state.spec.yaml_document import QUOTE, Document

_SEXAGESIMAL = re.compile(r"[0-9]+(:[0-9]+)+(\.[0-9]*)?")
"""Minutes and seconds, which some readers of YAML take for one number."""
_IN_WORDS = {"string": "text", "float": "a number", "int": "a whole number", "bool": "true or false"}


def field_problems(document: Document, schema: EventSchema) -> Iterator[Problem]:
    """Yield a problem for each event field that is unknown or of the wrong type, and each value it cannot have."""
    return _FieldChecks(document, schema).problems()


class _FieldChecks:
    """Walks a document with its event schema at hand."""

    def __init__(self, document: Document, schema: EventSchema) -> None:
        self.document = document
        self.schema = schema

    def problems(self) -> Iterator[Problem]:
        yield from self.events()
        for name, feature in self.document.entries("features"):
            path: KeyPath = ("features", name)
            if "of" in feature:
                yield from self.aggregated((*path, "of"), [a for _, a in self.document.items((*path, "aggregate"))])
            if "by" in feature:
                yield from self.keyed((*path, "by"))
            of = self.known((*path, "of"))
            if "edges" in feature and of is not None and of.kind in NUMBER:
                yield from self.edges((*path, "edges"), of)
            yield from self.where((*path, "where"))
            if "with" in feature:
                for field_path, _ in self.document.items((*path, "with")):
                    yield from self.field(field_path, ANY_FIELD, "a list")
            for side in ("numerator", "denominator"):
                part = self.document.mapping(*map(str, path), side)
                if "of" in part:
                    yield from self.aggregated((*path, side, "of"), [part.get("aggregate")])
                yield from self.where((*path, side, "where"))
        for name, sequence in self.document.entries("sequences"):
            path = ("sequences", name)
            if "fields" in sequence:
                for field_path, _ in self.document.items((*path, "fields")):
                    yield from self.field(field_path, ANY_FIELD, "a sequence")
            yield from self.where((*path, "where"))
        for name, embedding in self.document.entries("embeddings"):
            yield from self.embedding(("embeddings", name), embedding)
        for name, table in self.document.entries("items"):
            if isinstance(table.get("learned"), dict):
                path = ("items", name, "learned")
                if "of" in table["learned"]:
                    yield from self.identifier((*path, "of"), "learned item vectors")
                yield from self.where((*path, "where"))

    def events(self) -> Iterator[Problem]:
        events = self.document.mapping("events")
        for part in ("user", "id"):
            if part in events:
                yield from self.identifier(("events", part), f"`{part}`")
        for part in ("time", "published"):
            if part in events:
                yield from self.time(("events", part), f"{part}_unit")

    def time(self, path: KeyPath, unit_key: str) -> Iterator[Problem]:
        """Yield a problem unless the field at `path` is a time, or a number whose unit the spec states."""
        field = self.known(path)
        stated = self.document.mapping("events").get(unit_key)
        if field is None:
            yield from self.unknown(path)
        elif field.kind == "string" and field.number is None and field.avro_type == "string":
            if stated is not None:
                text = f"expected no `{unit_key}:`, since `{field.name}` is text, which is read as ISO 8601"
                yield self.document.problem(("events", unit_key), text)
        elif field.kind != "int":
            accepted = "expected a timestamp, a date, a long, or a string in ISO 8601"
            yield self.document.problem(path, f"{accepted}, got `{field.name}`, {_type_of(field)}")
        elif field.unit is None and stated is None:
            accepted = f"expected `{unit_key}:` (s, ms, us or ns) beside `{path[-1]}`"
            yield self.document.problem(path, f"{accepted}, since `{field.name}` is {field.avro_type} and no timestamp")
        elif field.unit is not None and stated not in (None, field.unit):
            text = f"expected no `{unit_key}:`, or {field.unit}, which the schema says of `{field.name}`"
            yield self.document.problem(("events", unit_key), f"{text}, got {stated}")

    def identifier(self, path: KeyPath, purpose: str) -> Iterator[Problem]:
        """Yield a problem unless the field at `path` can name somebody or something."""
        field = self.known(path)
        if field is None:
            yield from self.unknown(path)
        elif not field.is_id:
            types = "string, enum, uuid, int, long, bytes or fixed"
            accepted = f"expected a field of a type that ids have ({types}) for {purpose}"
            yield self.document.problem(path, f"{accepted}, got `{field.name}`, {_type_of(field)}{_way_out(field)}")

    def aggregated(self, path: KeyPath, aggregates: list[Any]) -> Iterator[Problem]:
        choosy = [a for a in aggregates if isinstance(a, str) and a in AGGREGATIONS and AGGREGATIONS[a].of]
        # The choosiest speaks: who takes numbers takes fewer fields than who takes any.
        name = min(choosy, key=lambda a: len(AGGREGATIONS[a].of), default=None)
        if name is None:
            yield from self.field(path, ANY_FIELD, "a feature")
        else:
            yield from self.field(path, AGGREGATIONS[name].of, name)

    def keyed(self, path: KeyPath) -> Iterator[Problem]:
        """Yield a problem for each field that cannot be a key: of another type, or named as a table's number is."""
        lists: list[str] = []
        for field_path, name in self.document.items(path):
            known = self.known(field_path)
            if known is not None and known.is_list:
                lists.append(known.name)
                if len(lists) > 1:
                    text = f"expected one array at most among the key fields, got {listing(lists)}"
                    yield self.document.problem(field_path, text)
            taken = [measure for measure in MEASURES.values() if measure]
            if name in taken:
                text = f"expected a key field with another name than the table's number ({listing(taken)}), got {name}"
                yield self.document.problem(field_path, text)
            else:
                yield from self.field(field_path, KEY_FIELD, "a key")

    def embedding(self, path: KeyPath, embedding: dict[str, Any]) -> Iterator[Problem]:
        if "of" in embedding:
            yield from self.identifier((*path, "of"), "an embedding")
            if embedding.get("kind") == "recent_items" and embedding["of"] in ("count", "share"):
                text = f"expected a field with another name than the columns count and share, got {embedding['of']}"
                yield self.document.problem((*path, "of"), text)
        yield from self.where((*path, "where"))
        weights = self.document.mapping("embeddings", str(path[1]), "weights")
        if "weight_field" in embedding:
            by_path: KeyPath = (*path, "weight_field")
            yield from self.field(by_path, ("string",), "`weights`")
            field = self.known(by_path)
        elif weights:
            default = Embedding.model_fields["weight_field"].default
            field = self.schema.fields.get(default)
            if field is None or field.kind != "string":
                text = f"expected `weight_field:` too, since {self.schema.name} has no text field `{default}`"
                yield self.document.problem((*path, "weights"), text)
        else:
            return
        if field is not None and field.symbols is not None:
            for value in weights:
                yield from self.symbol((*path, "weights", value), field, value)

    def where(self, path: KeyPath) -> Iterator[Problem]:
        found, _ = read_filter(self.document.mapping(*map(str, path)))
        for condition in found.leaves():
            at: KeyPath = (*path, *condition.at)
            field = self.schema.fields.get(condition.field)
            if field is None:
                yield from self.unknown(at, condition.field)
            elif isinstance(condition, Exists):
                if not condition.wanted and not (field.nullable or field.is_list):
                    text = f"expected a field that may be null, got `{field.name}`, which the schema never lets be null"
                    yield self.document.problem(at, text)
            elif isinstance(condition, Contains):
                yield from self.contains(at, field)
            elif field.kind not in ANY_FIELD:
                yield self.document.problem(at, _unusable(field, ANY_FIELD, "a filter"))
            elif isinstance(condition, Compares):
                yield from self.bound(at, field, condition)
            else:
                listed = isinstance(self.document.at(at), list)
                for value_path, value in self.document.items(at):
                    yield from self.value(value_path, field, value)
                    if not condition.literal and field.kind == "string" and field.symbols is None:
                        yield from self.meant_as_text(value_path, value, listed)

    def contains(self, path: KeyPath, field: EventField) -> Iterator[Problem]:
        """Yield a problem if the field has no lists, or none of such values."""
        if field.is_list:
            for value_path, value in self.document.items(path):
                yield from self.value(value_path, field, value)
        elif field.avro_type.startswith("array"):
            yield self.document.problem(path, _unusable(field, ANY_FIELD, "a filter"))
        else:
            text = f"expected a field with lists for `contains`, got `{field.name}`, {_type_of(field)}"
            yield self.document.problem(path, f"{text}; write the values that it may have without `contains:`")

    def bound(self, path: KeyPath, field: EventField, condition: Compares) -> Iterator[Problem]:
        """Yield a problem if a field has no order, or its type no such number."""
        if field.kind not in ("float", "int"):
            hint = "; texts have no order here: list the values" if field.kind == "string" else ""
            text = f"expected a numeric field for `{condition.how}`, got `{field.name}`, {_type_of(field)}{hint}"
            yield self.document.problem(path, text)
        else:
            yield from self.too_large(path, field, condition.number)

    def meant_as_text(self, path: KeyPath, value: Any, listed: bool) -> Iterator[Problem]:
        """Yield a problem if a text looks like a condition, since filters compare whole texts."""
        if not isinstance(value, str):
            return
        meant = operator_in_text(value)
        several = [] if listed else [part.strip() for part in re.split(r"[,|]", value)]
        if meant is not None:
            text = f"expected the text that the field must have, got {shorten(value)}, which looks like a condition"
            yield self.document.problem(path, f"{text}; write `{meant}`, or `{{is: {value!r}}}` to mean that very text")
        elif len(several) > 1 and all(several):
            text = f"expected one text, got {shorten(value)}, which looks like a list"
            listed_as = f"[{', '.join(several)}]"
            yield self.document.problem(
                path, f"{text}; write `{listed_as}`, or `{{is: {value!r}}}` to mean that very text"
            )

    def too_large(self, path: KeyPath, field: EventField, value: int | float) -> Iterator[Problem]:
        """Yield a problem if the field's type has no such number."""
        if not fits(field, value):
            text = f"expected a number that field `{field.name}` can have, {_type_of(field)}"
            yield self.document.problem(path, f"{text}, got {self.document.got(path)}")

    def value(self, path: KeyPath, field: EventField, value: Any) -> Iterator[Problem]:
        """Yield a problem if the scalar `value` is not of the field's type."""
        if not isinstance(value, str | bool | int | float) or (isinstance(value, float) and not math.isfinite(value)):
            return
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        fitting = {
            "string": isinstance(value, str),
            "float": is_number,
            "int": is_number and float(value).is_integer(),
            "bool": isinstance(value, bool),
        }[field.value_kind]
        if not fitting:
            hint = QUOTE if field.value_kind == "string" else ""
            if isinstance(value, str):
                hint = "; write it without quotes" if _is_number(value) and field.kind != "bool" else ""
                meant = operator_in_text(value)
                hint = hint if meant is None else f"; write `{meant}`"
                hint = f"; {value} is no number of YAML 1.2" if _SEXAGESIMAL.fullmatch(value) else hint
            accepted = f"expected {_IN_WORDS[field.value_kind]} for field `{field.name}`, {_type_of(field)}"
            yield self.document.problem(path, f"{accepted}, got {self.document.got(path)}{hint}")
        elif field.symbols is not None:
            yield from self.symbol(path, field, value)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield from self.too_large(path, field, value)

    def edges(self, path: KeyPath, field: EventField) -> Iterator[Problem]:
        """Yield a problem for each edge that the field's type does not have, or cannot tell from the one before."""
        before = None
        for edge_path, edge in self.document.items(path):
            if isinstance(edge, bool) or not isinstance(edge, int | float) or not math.isfinite(edge):
                return
            if not fits(field, edge):
                yield from self.too_large(edge_path, field, edge)
                return
            typed = number_as(field, edge)
            if before is not None and not before < typed:
                text = f"expected edges that differ as numbers of field `{field.name}`, {_type_of(field)}"
                yield self.document.problem(edge_path, f"{text}; got {self.document.got(edge_path)}, which does not")
            before = typed

    def symbol(self, path: KeyPath, field: EventField, value: Any) -> Iterator[Problem]:
        if field.symbols is not None and value not in field.symbols:
            accepted = f"expected one of the values of enum `{field.name}`: {listing(field.symbols)}"
            yield self.document.problem(path, f"{accepted}; got {shorten(value)}{did_you_mean(value, field.symbols)}")

    def field(self, path: KeyPath, kinds: tuple[str, ...], purpose: str) -> Iterator[Problem]:
        """Yield a problem unless the name at `path` is that of a field of one of `kinds`."""
        field = self.known(path)
        if field is None:
            yield from self.unknown(path)
        elif not _fits(field, kinds):
            yield self.document.problem(path, _unusable(field, kinds, purpose))

    def known(self, path: KeyPath) -> EventField | None:
        name = self.document.find(path)
        return self.schema.fields.get(name) if isinstance(name, str) else None

    def unknown(self, path: KeyPath, name: Any = None) -> Iterator[Problem]:
        name = self.document.find(path) if name is None else name
        if isinstance(name, str):
            there = f"{did_you_mean(name, self.schema.fields)}; available fields: {listing(self.schema.fields)}"
            text = f"expected a field of {self.schema.name}, got {shorten(name)}{there}"
            yield self.document.problem(path, text)


def _fits(field: EventField, kinds: tuple[str, ...]) -> bool:
    """Return whether a field is of one of `kinds`; of one that may be text too, numbers are taken where asked for."""
    return field.kind in kinds or ("string" not in kinds and field.number in kinds)


def _unusable(field: EventField, kinds: tuple[str, ...], purpose: str) -> str:
    words = "a numeric or boolean" if kinds == NUMBER else "a string or enum" if kinds == ("string",) else "a plain"
    more = " (string, enum, int, long, float, double or boolean)" if kinds == ANY_FIELD else ""
    more = " (string, enum, int, long or boolean)" if kinds == KEY_FIELD else more
    hint = _way_out(field)
    if purpose in ("last", "first") and field.kind == "string":
        hint = f"; `{purpose}_k` lists values of any type"
    return f"expected {words} field{more} for {purpose}, got `{field.name}`, {_type_of(field)}{hint}"


def _way_out(field: EventField) -> str:
    """Return what else can be done with a field of a type that does not fit."""
    if field.is_list:
        return "; arrays are for `by:` of count_by, top_k and the other tables, and `where: {x: {contains: y}}`"
    if field.kind != "other":
        return ""
    if field.avro_type.startswith("record"):
        return f"; name a field in it, such as `{field.name}.x`"
    if field.avro_type.startswith("map"):
        return f"; name one of its keys, such as `{field.name}.x`"
    return ""


def _type_of(field: EventField) -> str:
    return f"whose Avro type is {field.avro_type}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
