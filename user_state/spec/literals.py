"""Numbers of a spec as the event fields that they are compared with have them.

A literal means the field's own type: 0.1 beside an Avro `float` is the float nearest to 0.1, as an app has sent it, and
not the double nearest to it, which no float equals. A whole number beside a `long` is exact; 1e3 is 1000 there.
"""

from __future__ import annotations

import dataclasses
import struct
from typing import Any, TypeVar

from user_state.spec.event_field import EventField
from user_state.spec.event_schema import EventSchema
from user_state.spec.filters import AllOf, Compares, Condition, Contains, Leaf, OneOf, Scalar
from user_state.spec.model import Feature, Spec

_Declared = TypeVar("_Declared", bound=Any)


def fits(field: EventField, number: int | float) -> bool:
    """Return whether the field's type has such a number, or one that is nearest to it."""
    if field.value_kind == "int":
        bits = 31 if _type_of(field) == "int" else 63
        return -(2.0**bits) <= number < 2.0**bits
    if field.value_kind != "float":
        return True
    try:
        number_as(field, number)
    except OverflowError:
        return False
    return True


def number_as(field: EventField, number: int | float) -> int | float:
    """Return a number as the field's type has it, as it was written if it is one of that type.

    >>> import math
    >>> stars = EventField("stars", "float", False, None, "float")
    >>> number_as(stars, 0.1) == 0.1, math.isclose(number_as(stars, 0.1), 0.1, rel_tol=1e-7), number_as(stars, 7)
    (False, True, 7)
    >>> number_as(dataclasses.replace(stars, avro_type="double"), 2**53 + 1) == 2**53
    True
    >>> number_as(EventField("code", "int", False, None, "long"), 1e3)
    1000

    Raises:
        OverflowError: the type has none that is near.
    """
    if field.value_kind == "float":
        made: float = float(number)
        if _type_of(field) == "float":
            (made,) = struct.unpack("<f", struct.pack("<f", made))
        return number if made == number else made
    if field.value_kind == "int" and isinstance(number, float) and number.is_integer():
        return int(number)
    return number


def _type_of(field: EventField) -> str:
    """Return the Avro type of one value."""
    return field.avro_type.removeprefix("array of ")


def typed(spec: Spec, schema: EventSchema) -> Spec:
    """Return the spec with every number of a filter, and every edge, as its field's type has it."""
    return _with(
        spec,
        features={name: _feature(feature, schema) for name, feature in spec.features.items()},
        sequences={name: _filtered(sequence, schema) for name, sequence in spec.sequences.items()},
        embeddings={name: _filtered(embedding, schema) for name, embedding in spec.embeddings.items()},
        items={name: _with(items, learned=_filtered(items.learned, schema)) for name, items in spec.items.items()},
    )


def _feature(feature: Feature, schema: EventSchema) -> Feature:
    edges = feature.edges
    if feature.of is not None:
        edges = [number_as(schema.fields[feature.of], edge) for edge in edges]
    sides = {side: _filtered(getattr(feature, side), schema) for side in ("numerator", "denominator")}
    return _with(_filtered(feature, schema), edges=edges, **sides)


def _filtered(declared: _Declared, schema: EventSchema) -> _Declared:
    """Return what has a filter, or None, with the numbers in its filter typed."""
    if declared is None:
        return declared
    where: AllOf = declared.where
    return _with(declared, where=where.mapped(lambda leaf: _typed(leaf, schema)))


def _typed(leaf: Leaf, schema: EventSchema) -> Condition:
    field = schema.fields[leaf.field]
    if isinstance(leaf, Compares):
        # Between whole numbers lie others, which bound them as well.
        return leaf if field.kind == "int" else dataclasses.replace(leaf, number=number_as(field, leaf.number))
    if isinstance(leaf, OneOf | Contains):
        return dataclasses.replace(leaf, values=tuple(_value_as(field, value) for value in leaf.values))
    return leaf


def _value_as(field: EventField, value: Scalar) -> Scalar:
    return value if isinstance(value, str | bool) else number_as(field, value)


def _with(model: _Declared, **changes: object) -> _Declared:
    """Return a model with what is changed of it; what is not does not count as set."""
    # By text, since 1000 and 1000.0 are equal and not the same.
    changed = {name: value for name, value in changes.items() if repr(getattr(model, name)) != repr(value)}
    copied: _Declared = model.model_copy(update=changed) if changed else model
    return copied
