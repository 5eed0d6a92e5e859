"""A filter as the core evaluates it: a tree of conditions on the columns of a batch.

Fields are indices into `Plan.fields`. Numbers are of the kind of their field: of whole numbers an `int` of 64 bits, of
others a `float`. `word` tells conditions of the same parts apart wherever they are written down as lists of parts, as
`definition_of` does; one that accepts values has none, as it had before there were others.
`native/plan.hpp` has these as one struct.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from user_state.spec import filters
from user_state.spec.filters import Scalar


@dataclass(frozen=True)
class OneOf:
    """The field has one of the values."""

    field: int
    accepted: frozenset[Scalar]


@dataclass(frozen=True)
class Compares:
    """The field is less than `number`, and so on."""

    field: int
    word: Literal["<", "<=", ">", ">="]
    number: int | float


@dataclass(frozen=True)
class Exists:
    """The field is not null."""

    field: int
    word: Literal["exists"] = "exists"


@dataclass(frozen=True)
class Contains:
    """The field is a list with one of the values."""

    field: int
    accepted: frozenset[Scalar]
    word: Literal["contains"] = "contains"


@dataclass(frozen=True)
class Not:
    """The condition does not hold."""

    part: Condition
    word: Literal["not"] = "not"


@dataclass(frozen=True)
class AnyOf:
    """One of the conditions holds."""

    parts: tuple[Condition, ...]
    word: Literal["any"] = "any"


@dataclass(frozen=True)
class AllOf:
    """Each of the conditions holds."""

    parts: tuple[Condition, ...]
    word: Literal["all"] = "all"


Condition = OneOf | Compares | Exists | Contains | Not | AnyOf | AllOf


def parts_of(condition: Condition) -> tuple[Condition, ...]:
    """Return the conditions that a condition is made of."""
    if isinstance(condition, Not):
        return (condition.part,)
    return condition.parts if isinstance(condition, AnyOf | AllOf) else ()


def asked_of(condition: Condition, field: int) -> Iterator[Scalar]:
    """Yield values of a field that the condition, or one of its parts, accepts; for made-up events."""
    for part in parts_of(condition):
        yield from asked_of(part, field)
    if isinstance(condition, OneOf) and condition.field == field:
        yield from sorted(condition.accepted, key=repr)
    if isinstance(condition, Compares) and condition.field == field:
        yield condition.number + {"<": -1, "<=": 0, ">": 1, ">=": 0}[condition.word]


def compare(field: int, kind: str, how: filters.How, number: int | float) -> Condition:
    """Return the condition that a field of a kind is on that side of a number.

    >>> compare(0, "int", ">", 2.5), compare(0, "int", "<=", 2.5)
    (Compares(field=0, word='>=', number=3), Compares(field=0, word='<=', number=2))
    """
    if kind != "int":
        return Compares(field, how, float(number))
    if number != math.floor(number):
        # No whole number lies between this one and the next.
        how, number = (">=", math.ceil(number)) if how in (">", ">=") else ("<=", math.floor(number))
    return Compares(field, how, math.floor(number))
