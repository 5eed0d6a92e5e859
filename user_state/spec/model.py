"""The spec as typed settings: what a team declares, validated value by value.

Nothing here reads files or computes features. `load.py` turns YAML into these models and errors into
messages with line numbers; `user_state.plan.compile` compiles them into what the core executes.
Durations are kept in microseconds (`_us`), beside the text they were written as where a name needs it.

Every field's `description` says what it accepts, as the end of a sentence that begins with "expected":
it is what a reader of an error message is told.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from user_state.sizes import MB
from user_state.spec.aggregations import AGGREGATIONS, DEFAULT_K, DEFAULT_KEYS, MOST_KEY_FIELDS, PARTS_OF_RATIO
from user_state.spec.bodies import ENCODINGS, Encoding
from user_state.spec.embedding import Embedding
from user_state.spec.filters import EVERY, WHERE, Where
from user_state.spec.items import Items
from user_state.spec.values import (
    A_DURATION,
    A_NAME,
    A_RECORD_SIZE,
    LIFETIME,
    Duration,
    DurationUs,
    Name,
    RecordSize,
    Settings,
    Window,
    as_list,
    distinct,
    misfit,
)

DEFAULT_CAP = 1_000
"""How many distinct values are counted of a user, unless the spec says otherwise."""

DEFAULT_MAX_RECORD = MB
"""Bytes that a user's record may have: a hundred times those of a heavy user, and read within tens of milliseconds."""


def _aggregation(name: str) -> str:
    if name not in AGGREGATIONS:
        choices = ", ".join(f"'{choice}'" for choice in AGGREGATIONS)
        raise PydanticCustomError("literal_error", "expected an aggregation", {"expected": choices})
    return name


def _part_of_ratio(name: str) -> str:
    if name not in PARTS_OF_RATIO:
        choices = ", ".join(f"'{choice}'" for choice in PARTS_OF_RATIO)
        raise PydanticCustomError("literal_error", "expected an aggregation", {"expected": choices})
    return name


def _number(value: object) -> object:
    # Before the union below, so that one wrong value is one error and not one for each of its types.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("scalar", "expected a number")
    return value


def _ascending(numbers: list[int | float]) -> list[int | float]:
    for earlier, later in pairwise(numbers):
        if not earlier < later:
            raise ValueError(f"expected ascending numbers, got {later:g} after {earlier:g}")
    if not all(math.isfinite(number) for number in numbers):
        raise ValueError("expected finite numbers; below the first and above the last there is a bin already")
    return numbers


class Events(Settings):
    """Which Avro schema the events have, and which of its fields play which part."""

    schema_: str = Field(alias="schema", description="the file of the events' Avro schema, such as interaction.avsc")
    user: str = Field(description="the event field that identifies the user")
    id: str = Field(description="the event field that identifies the event")
    time: str = Field(description="the event field that says when it happened")
    time_unit: Literal["s", "ms", "us", "ns"] | None = Field(
        default=None, description="s, ms, us or ns, the unit of a `time` that the schema says nothing of"
    )
    published: str | None = Field(default=None, description="the event field that says when it was received")
    published_unit: Literal["s", "ms", "us", "ns"] | None = Field(
        default=None, description="s, ms, us or ns, the unit of a `published` that the schema says nothing of"
    )
    versions: Annotated[
        list[str],
        BeforeValidator(as_list),
        AfterValidator(distinct),
        Field(description="the file of another Avro schema that events were written with, or a list of them"),
    ] = []
    encoding: Encoding = Field(default="raw", description=f"how message bodies are encoded: {', '.join(ENCODINGS)}")
    registry: str | None = Field(
        default=None, description="a folder with a file ID.avsc for each schema, or the URL of a schema registry"
    )
    subject: Annotated[str, Field(min_length=1)] | None = Field(
        default=None,
        description="the registry's subject of the schema that events are written with, looked up at start",
    )
    deletes: Literal["refuse", "ignore"] = Field(
        default="refuse", description="refuse or ignore, what becomes of change events (CDC) of deleted rows"
    )


class Part(Settings):
    """One of the two aggregations of a ratio, over the ratio's windows and within its filter."""

    aggregate: Annotated[str, AfterValidator(_part_of_ratio)] = Field(description=f"one of {', '.join(PARTS_OF_RATIO)}")
    of: str | None = Field(default=None, description="the event field to aggregate")
    where: Where = Field(default=EVERY, description=WHERE)

    @model_validator(mode="after")
    def _parts_fit(self) -> Part:
        if self.of is None and self.aggregate != "count":
            raise ValueError(f"aggregate {self.aggregate} needs `of:`, the event field to aggregate")
        return self


class Prior(Settings):
    """What a ratio is taken to be before anything was seen: `weight` more in the denominator, at `rate`."""

    rate: Annotated[float, Field(ge=-1e9, le=1e9)] = Field(description="a number, the ratio to expect")
    weight: Annotated[float, Field(gt=0, le=1e9)] = Field(
        description="a number above 0, how many of the denominator the prior counts for"
    )


class Feature(Settings):
    """One or several aggregations of the same filtered events over one or several windows."""

    aggregate: Annotated[
        list[Annotated[str, AfterValidator(_aggregation)]],
        BeforeValidator(as_list),
        AfterValidator(distinct),
        Field(min_length=1, description=f"one of {', '.join(AGGREGATIONS)}, or a list of them"),
    ]
    of: str | None = Field(default=None, description="the event field to aggregate")
    where: Where = Field(default=EVERY, description=WHERE)
    windows: Annotated[
        list[Window],
        BeforeValidator(as_list),
        AfterValidator(distinct),
        Field(min_length=1, description=f"a duration such as 10m or 7d, {LIFETIME}, or a list of them"),
    ] = []
    half_life: Annotated[
        list[Duration],
        BeforeValidator(as_list),
        AfterValidator(distinct),
        Field(min_length=1, description=f"{A_DURATION}, or a list of them"),
    ] = []
    k: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="how many to keep, a whole number from 1 to 10000"
    )
    with_: Annotated[list[str], BeforeValidator(as_list), AfterValidator(distinct)] = Field(
        default=[], alias="with", description="an event field to list beside the one that `of` names, or a list of them"
    )
    edges: Annotated[
        list[Annotated[int | float, BeforeValidator(_number)]],
        AfterValidator(_ascending),
        Field(min_length=1, max_length=200),
    ] = Field(default=[], description="a list of up to 200 ascending numbers")
    numerator: Part | None = Field(default=None, description="an aggregation such as {aggregate: count}")
    denominator: Part | None = Field(default=None, description="an aggregation such as {aggregate: count}")
    prior: Prior | None = Field(default=None, description="a mapping such as {rate: 0.05, weight: 20}")
    cap: Annotated[int, Field(ge=1, le=65_535)] | None = Field(
        default=None, description="how many distinct values to count up to, a whole number from 1 to 65535"
    )
    gap: DurationUs | None = Field(default=None, description=A_DURATION)
    quantiles: Annotated[
        list[Annotated[float, Field(ge=0, le=1)]],
        BeforeValidator(as_list),
        AfterValidator(distinct),
        Field(min_length=1, max_length=100, description="a number from 0 to 1, or a list of up to 100 of them"),
    ] = []
    error: Annotated[float, Field(ge=0.01, le=0.1)] | None = Field(
        default=None, description="a share from 0.01 to 0.1, such as 0.02"
    )
    by: Annotated[
        list[str],
        BeforeValidator(as_list),
        AfterValidator(distinct),
        Field(
            min_length=1,
            max_length=MOST_KEY_FIELDS,
            description=f"the event field whose values are the keys, or a list of up to {MOST_KEY_FIELDS}",
        ),
    ] = []
    keys: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="how many keys a tile keeps, a whole number from 1 to 10000"
    )
    measure: Literal["count", "sum", "mean"] | None = Field(
        default=None, description="count, sum or mean: what makes a key heavy"
    )
    default: float | None = Field(default=None, description="a number")

    @model_validator(mode="after")
    def _parts_fit(self) -> Feature:
        chosen = [(name, AGGREGATIONS[name]) for name in self.aggregate]
        keys = {field.alias or name: field for name, field in Feature.model_fields.items()}
        given = {Feature.model_fields[name].alias or name for name in self.model_fields_set}
        usable = {key for _, aggregation in chosen for key in aggregation.usable}
        one = "aggregate" if len(self.aggregate) == 1 else "neither aggregate"
        taking = f"{one} {' nor '.join(self.aggregate)} takes {'no ' * (len(self.aggregate) == 1)}"
        for name, aggregation in chosen:
            for key in aggregation.needed:
                if key not in given:
                    instead = "; `of:` names no key" if key == "by" and "of" in given else ""
                    raise ValueError(f"aggregate {name} needs `{key}:`, {keys[key].description}{instead}")
        for key in sorted(given - usable - {"aggregate", "where", "default"}):
            users = [name for name, other in AGGREGATIONS.items() if key in other.usable]
            raise misfit(key, f"{taking}`{key}:`; it is for {', '.join(users)}")
        if "default" in given and not any(aggregation.defaults for _, aggregation in chosen):
            raise misfit(
                "default", f"{taking}`default:`; without events, tables and lists are empty and arrays are zeros"
            )
        if self.of in self.with_:
            raise misfit("with", f"expected fields beside `of`, got {self.of}, which `of` names")
        for side in ("numerator", "denominator"):
            part = getattr(self, side)
            for field in self.where.fields if part else ():
                mine, theirs = self.where.one_of(field), part.where.one_of(field)
                if mine is not None and theirs is not None and not set(mine) & set(theirs):
                    raise ValueError(
                        f"expected filters that overlap, but no `{field}` matches both `where:` and {side}'s"
                    )
        self._keys_fit()
        return self

    def _keys_fit(self) -> None:
        """Refuse tables of more keys than are kept, and measures that go by no field or leave one unused.

        Raises:
            PydanticCustomError: says what would fit.
        """
        if self.by and self.k is not None and self.k > self.kept_keys:
            unless = " by default" if self.keys is None else ""
            raise misfit("k", f"expected `k:` of at most `keys:`, {self.kept_keys}{unless}, got {self.k}")
        if self.measure in ("sum", "mean") and self.of is None:
            raise misfit("measure", f"measure {self.measure} needs `of:`, {Feature.model_fields['of'].description}")
        by_count = "top_k" in self.aggregate and self.measure in (None, "count")
        if by_count and self.of is not None and not any(AGGREGATIONS[a].of for a in self.aggregate if a != "top_k"):
            raise misfit(
                "of", "aggregate top_k by count takes no `of:`; to rank by a field, add `measure: sum` or `mean`"
            )

    @property
    def kept_keys(self) -> int:
        """How many keys a tile keeps at most."""
        return DEFAULT_KEYS if self.keys is None else self.keys

    @property
    def listed_keys(self) -> int:
        """How many keys a table lists at most."""
        return min(DEFAULT_K, self.kept_keys) if self.k is None else self.k


class Sequence(Settings):
    """The last events that match, newest first, with some of their fields."""

    fields: Annotated[list[str], AfterValidator(distinct), Field(min_length=1, description="a list of event fields")]
    last: Annotated[int, Field(ge=1, le=10_000)] = Field(
        description="how many events to keep, a whole number from 1 to 10000"
    )
    where: Where = Field(default=EVERY, description=WHERE)
    within: DurationUs | None = Field(default=None, description=A_DURATION)


class Spec(Settings):
    """Everything a team declares about its users' state."""

    name: Name = Field(description=A_NAME)
    events: Events = Field(description="a mapping with schema, user, id and time")
    allowed_lateness: DurationUs = Field(description=A_DURATION)
    max_clock_skew: DurationUs = Field(description=A_DURATION)
    retention: DurationUs = Field(description=A_DURATION)
    timezone: str = Field(default="UTC", description="a time zone such as UTC or Europe/Berlin")
    seen_ids_cap: Annotated[int, Field(ge=100, le=10_000_000)] = Field(
        default=100_000, description="a whole number from 100 to 10000000"
    )
    max_record: RecordSize = Field(default=DEFAULT_MAX_RECORD, description=A_RECORD_SIZE)
    tiles: dict[Duration, Duration] = Field(
        default={}, description="windows, each with the width of its tiles, such as {1d: 1h}"
    )
    features: dict[Name, Feature] = Field(default={}, description="features by name")
    sequences: dict[Name, Sequence] = Field(default={}, description="sequences by name")
    embeddings: dict[Name, Embedding] = Field(default={}, description="embeddings by name")
    items: dict[Name, Items] = Field(default={}, description="tables of item vectors by name")

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except Exception:
            raise PydanticCustomError("timezone", "expected a time zone") from None
        return timezone

    @model_validator(mode="after")
    def _declares_something(self) -> Spec:
        if not (self.features or self.sequences or self.embeddings):
            raise ValueError("expected at least one entry under features, sequences or embeddings, got none")
        return self
