"""What `where:` says: a tree of conditions on an event's fields.

    FIELD: value, FIELD: [values]        the field has one of these values
    FIELD: {">=": 5, "<": 10}            a number within bounds: <, <=, >, >=
    FIELD: {exists: true}                the field is not null; false: it is null
    FIELD: {contains: value}             a list has this value, or one of a list of values
    FIELD: {is: value}                   as FIELD: value, for a text that looks like an operator
    FIELD: {not: ...}                    the opposite of any of the above
    not: {...}                           the opposite of a whole filter
    any: [{...}, {...}]                  at least one of these filters
    all: [{...}, {...}]                  each of them, as the entries of a filter

A filter accepts an event if all of its entries do. An entry accepts an event or does not, there is no third answer:
null has no value and lies within no bounds, so `not` of that accepts it.

Nothing here knows a schema: `field_checks` holds fields and values against theirs.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer, PlainValidator, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from user_state.spec.hints import operator_meant
from user_state.spec.problems import KeyPath, listing

Scalar = str | bool | int | float
How = Literal["<", "<=", ">", ">="]
HOWS: tuple[How, ...] = ("<", "<=", ">", ">=")
TESTS = (*HOWS, "not", "exists", "contains", "is")
"""What may stand in the mapping behind a field."""
WORDS = ("any", "all", "not")
"""What may stand in place of a field, if a filter or a list of filters follows; else it is a field of that name."""
MOST_LEVELS = 20
"""Of filters in filters."""


@dataclass(frozen=True)
class OneOf:
    """The field has one of the values. `literal`: each was said to be meant as it is written."""

    field: str
    values: tuple[Scalar, ...]
    literal: bool = dataclasses.field(default=False, compare=False)
    at: KeyPath = dataclasses.field(default=(), compare=False)
    """Where it stands in its filter."""


@dataclass(frozen=True)
class Compares:
    """The field is a number on that side of `number`."""

    field: str
    how: How
    number: int | float
    at: KeyPath = dataclasses.field(default=(), compare=False)


@dataclass(frozen=True)
class Exists:
    """The field is not null. `wanted` is what was written; false stands inside of a `Not`."""

    field: str
    wanted: bool = dataclasses.field(default=True, compare=False)
    at: KeyPath = dataclasses.field(default=(), compare=False)


@dataclass(frozen=True)
class Contains:
    """The field is a list that has one of the values."""

    field: str
    values: tuple[Scalar, ...]
    at: KeyPath = dataclasses.field(default=(), compare=False)


@dataclass(frozen=True)
class Not:
    """The opposite of a condition."""

    condition: Condition


@dataclass(frozen=True)
class AnyOf:
    """At least one of the conditions holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True)
class AllOf:
    """All of the conditions hold; of none, always."""

    conditions: tuple[Condition, ...] = ()

    def leaves(self) -> Iterator[Leaf]:
        """Yield every condition on a field, in the order of the file."""
        return _leaves(self)

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that are looked at, each once."""
        return tuple(dict.fromkeys(leaf.field for leaf in self.leaves()))

    def one_of(self, field: str) -> tuple[Scalar, ...] | None:
        """Return the values that a field must have one of, None if that is not said."""
        return next((c.values for c in self.conditions if isinstance(c, OneOf) and c.field == field), None)

    def mapped(self, change: Callable[[Leaf], Condition]) -> AllOf:
        """Return the filter with every condition on a field changed."""
        return AllOf(tuple(_mapped(condition, change) for condition in self.conditions))

    def text(self) -> str:
        """Return the filter as JSON, the same for filters that differ in the order of their parts alone."""
        return json.dumps(_plain(self), ensure_ascii=False)


Leaf = OneOf | Compares | Exists | Contains
Condition = Leaf | Not | AnyOf | AllOf
EVERY = AllOf()
"""Accepts every event."""


def both(one: AllOf, other: AllOf) -> AllOf:
    """Return the filter that accepts what both accept.

    >>> home = AllOf((OneOf("action", ("view", "like")),))
    >>> both(home, AllOf((OneOf("action", ("like",)), OneOf("surface", ("home",))))).text()
    '{"action": ["like"], "surface": ["home"]}'
    """
    joined = list(one.conditions)
    for condition in other.conditions:
        before = one.one_of(condition.field) if isinstance(condition, OneOf) else None
        if isinstance(condition, OneOf) and before is not None:
            shared = tuple(value for value in before if value in condition.values)
            held = next(c for c in joined if isinstance(c, OneOf) and c.field == condition.field)
            joined[joined.index(held)] = dataclasses.replace(held, values=shared)
        else:
            joined.append(condition)
    return AllOf(tuple(joined))


def read_filter(written: Any) -> tuple[AllOf, list[InitErrorDetails]]:
    """Return the filter that `written` says, as far as it makes sense, and what does not."""
    reader = _Reader()
    return reader.whole(written, (), 0), reader.errors


def _validated(written: Any) -> AllOf:
    if isinstance(written, AllOf):
        return written
    made, errors = read_filter(written)
    if errors:
        raise ValidationError.from_exception_data("where", errors)
    return made


Where = Annotated[
    AllOf,
    PlainValidator(_validated),
    PlainSerializer(lambda where: _plain(where)),  # noqa: PLW0108  # it is defined below
]
"""A filter as a field of a model."""
WHERE = (
    "event fields, each with the value, the list of values or the bounds it must have, such as {action: [view, like],"
    ' value: {">=": 5}}'
)
A_TEST = "a value, a list of values, or a mapping with " + ", ".join(TESTS)


class _Reader:
    """Reads a filter and collects what is wrong with it; one use each."""

    def __init__(self) -> None:
        self.errors: list[InitErrorDetails] = []

    def whole(self, written: Any, at: KeyPath, level: int) -> AllOf:
        if not isinstance(written, Mapping):
            if at:
                self.refuse(at, f"expected a filter, such as {{action: view}}, got {_short(written)}")
            else:
                self.unfit(at)
            return EVERY
        if level > MOST_LEVELS:
            self.refuse(at, f"expected filters at most {MOST_LEVELS} deep in each other, got more")
            return EVERY
        made: list[Condition] = []
        for key, value in written.items():
            where = (*at, str(key))
            if key == "not" and isinstance(value, Mapping):
                if not value:
                    self.refuse(where, "expected conditions after `not:`, got none, which accepts no event")
                made.append(_negated(list(self.whole(value, where, level + 1).conditions)))
            elif key in ("any", "all") and (isinstance(value, Mapping) or _has_mappings(value)):
                made.append(self.several(str(key), value, where, level))
            else:
                made += self.tests(str(key), value, where, level)
        return AllOf(tuple(made))

    def several(self, word: str, written: Any, at: KeyPath, level: int) -> Condition:
        if not isinstance(written, list):
            self.refuse(
                at, f"expected a list of filters, such as [{{action: view}}, {{action: like}}], after `{word}:`"
            )
            return EVERY
        wholes = [self.whole(part, (*at, index), level + 1) for index, part in enumerate(written)]
        parts = tuple(whole.conditions[0] if len(whole.conditions) == 1 else whole for whole in wholes)
        if word == "all":
            return AllOf(parts)
        if any(part == EVERY for part in parts) and not self.errors:
            self.refuse(at, "expected conditions in each filter of `any:`, got one that accepts every event")
        return AnyOf(parts)

    def tests(self, field: str, written: Any, at: KeyPath, level: int) -> list[Condition]:
        """Return what is asked of one field."""
        if not isinstance(written, Mapping):
            return [OneOf(field, self.values(written, at), at=at)]
        if level > MOST_LEVELS:
            self.refuse(at, f"expected filters at most {MOST_LEVELS} deep in each other, got more")
            return []
        if not written:
            self.unfit(at)
        made: list[Condition] = []
        for key, value in written.items():
            where = (*at, str(key))
            if key in HOWS:
                made += self.bound(field, key, value, where)
            elif key == "not":
                made.append(_negated(self.tests(field, value, where, level + 1)))
            elif key == "is":
                made.append(OneOf(field, self.values(value, where), literal=True, at=where))
            elif key == "contains":
                made.append(Contains(field, self.values(value, where), at=where))
            elif key == "exists":
                if isinstance(value, bool):
                    exists = Exists(field, value, at=where)
                    made.append(exists if value else Not(exists))
                else:
                    self.refuse(where, "expected true or false after `exists:`, got another value")
            else:
                accepted = f"accepted here: {listing(TESTS)}"
                self.refuse(where, f"unknown word of a filter{operator_meant(str(key))}; {accepted}")
        self.check_bounds(made, at)
        return made

    def bound(self, field: str, how: How, number: Any, at: KeyPath) -> list[Condition]:
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            self.refuse(at, f"expected a finite number after `{how}`, got {_short(number)}")
            return []
        return [Compares(field, how, number, at=at)]

    def check_bounds(self, made: list[Condition], at: KeyPath) -> None:
        """Refuse bounds that no number lies within."""
        bounds = [condition for condition in made if isinstance(condition, Compares)]
        for low in (bound for bound in bounds if bound.how in (">", ">=")):
            for high in (bound for bound in bounds if bound.how in ("<", "<=")):
                closed = low.how == ">=" and high.how == "<="
                if low.number > high.number or (low.number == high.number and not closed):
                    said = f"{low.how} {low.number:g} and {high.how} {high.number:g}"
                    self.refuse(at, f"expected bounds that a number can lie within, got {said}")

    def values(self, written: Any, at: KeyPath) -> tuple[Scalar, ...]:
        listed = written if isinstance(written, list) else [written]
        if not listed:
            self.unfit(at)
        for index, value in enumerate(listed):
            if not _is_scalar(value):
                self.unfit((*at, index) if isinstance(written, list) else at)
        return tuple(value for value in listed if _is_scalar(value))

    def unfit(self, at: KeyPath) -> None:
        """Say that something else is accepted here; the model's description says what."""
        self.errors.append({"type": PydanticCustomError("scalar", "expected something else"), "loc": at, "input": None})

    def refuse(self, at: KeyPath, said: str) -> None:
        error = PydanticCustomError("filter", "{said}", {"said": said})
        self.errors.append({"type": error, "loc": at, "input": None})


def _has_mappings(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, Mapping) for item in value)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | bool | int | float) and not (isinstance(value, float) and not math.isfinite(value))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _negated(conditions: list[Condition]) -> Condition:
    return Not(conditions[0] if len(conditions) == 1 else AllOf(tuple(conditions)))


def _leaves(condition: Condition) -> Iterator[Leaf]:
    if isinstance(condition, Not):
        yield from _leaves(condition.condition)
    elif isinstance(condition, AnyOf | AllOf):
        for part in condition.conditions:
            yield from _leaves(part)
    else:
        yield condition


def _mapped(condition: Condition, change: Callable[[Leaf], Condition]) -> Condition:
    if isinstance(condition, Not):
        return Not(_mapped(condition.condition, change))
    if isinstance(condition, AnyOf | AllOf):
        return dataclasses.replace(condition, conditions=tuple(_mapped(c, change) for c in condition.conditions))
    return change(condition)


def _plain(condition: Condition) -> Any:
    """Return a condition as JSON values that would be read as it, in an order of their own."""
    if isinstance(condition, OneOf):
        return {condition.field: sorted(set(condition.values), key=repr)}
    if isinstance(condition, Contains):
        return {condition.field: {"contains": sorted(set(condition.values), key=repr)}}
    if isinstance(condition, Compares):
        return {condition.field: {condition.how: condition.number}}
    if isinstance(condition, Exists):
        return {condition.field: {"exists": True}}
    if isinstance(condition, Not):
        if isinstance(condition.condition, Exists):
            return {condition.condition.field: {"exists": False}}
        return {"not": _plain(condition.condition)}
    parts = [_plain(part) for part in condition.conditions]
    if isinstance(condition, AnyOf):
        return {"any": sorted(parts, key=_json)}
    keys = [key for part in parts for key in part]
    if len(set(keys)) == len(keys):
        merged = {key: value for part in parts for key, value in part.items()}
        return {key: merged[key] for key in sorted(merged)}
    return {"all": sorted(parts, key=_json)}


def _json(plain: Any) -> str:
    return json.dumps(plain, ensure_ascii=False)
