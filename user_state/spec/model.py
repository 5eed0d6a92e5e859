"""The spec as typed settings: what a team declares, validated value by value.

Nothing here reads files or computes features. `load.py` turns YAML into these models and errors into
messages with line numbers; `user_state.core.plan` compiles them into what the core executes.
Durations are kept in microseconds (`_us`), beside the text they were written as where a name needs it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)

from user_state.durations import parse_duration_us

LIFETIME = "lifetime"
AGGREGATIONS = ("count", "sum", "mean", "last_k")
NEEDS_FIELD = ("sum", "mean", "last_k")

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=100)]
DurationUs = Annotated[int, BeforeValidator(parse_duration_us)]
Scalar = str | bool | int | float


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Events(_Settings):
    """Which Avro schema the events have, and which of its fields play which part."""

    schema_: str = Field(alias="schema")
    user: str
    id: str
    time: str
    published: str | None = None


Where = dict[str, Annotated[list[Scalar], BeforeValidator(_as_list), Field(min_length=1)]]
"""Field name to accepted values; an event matches if every field has one of its values."""


class Feature(_Settings):
    """One or several aggregations of the same filtered events over one or several windows."""

    aggregate: Annotated[
        list[Literal["count", "sum", "mean", "last_k"]], BeforeValidator(_as_list), Field(min_length=1)
    ]
    of: str | None = None
    where: Where = {}
    windows: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
    k: Annotated[int, Field(ge=1, le=10_000)] | None = None
    default: float | None = None

    @field_validator("windows")
    @classmethod
    def _windows_are_durations(cls, windows: list[str]) -> list[str]:
        for window in windows:
            if window != LIFETIME:
                try:
                    parse_duration_us(window)
                except ValueError as exc:
                    raise ValueError(f"{exc}, or {LIFETIME}") from None
        return windows

    @model_validator(mode="after")
    def _parts_fit(self) -> Feature:
        needing = [a for a in self.aggregate if a in NEEDS_FIELD]
        if needing and self.of is None:
            raise ValueError(f"aggregate {needing[0]} needs `of:`, the event field to aggregate")
        if not needing and self.of is not None:
            raise ValueError("aggregate count takes no `of:`; it counts events")
        if ("last_k" in self.aggregate) != (self.k is not None):
            raise ValueError("`k:` goes with aggregate last_k, and last_k needs it")
        for listed, what in ((self.aggregate, "aggregate"), (self.windows, "windows")):
            if len(set(listed)) != len(listed):
                raise ValueError(f"`{what}:` names the same thing twice")
        return self


class Sequence(_Settings):
    """The last events that match, newest first, with some of their fields."""

    fields: Annotated[list[str], Field(min_length=1)]
    last: Annotated[int, Field(ge=1, le=10_000)]
    where: Where = {}
    within: DurationUs | None = None

    @field_validator("fields")
    @classmethod
    def _fields_differ(cls, fields: list[str]) -> list[str]:
        if len(set(fields)) != len(fields):
            raise ValueError("`fields:` names the same field twice")
        return fields


class Embedding(_Settings):
    """A vector a half-life: the time-decayed weighted mean of the vectors of what the user acted on."""

    kind: Literal["decayed_mean"]
    of: str
    dimensions: Annotated[int, Field(ge=1, le=4096)]
    half_life: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
    weights: dict[str, float] | None = None
    weight_field: str = "action"

    @field_validator("half_life")
    @classmethod
    def _half_lives_are_durations(cls, half_lives: list[str]) -> list[str]:
        for half_life in half_lives:
            parse_duration_us(half_life)
        if len(set(half_lives)) != len(half_lives):
            raise ValueError("`half_life:` names the same one twice")
        return half_lives

    @field_validator("weights", mode="before")
    @classmethod
    def _whole_numbers_are_weights_too(cls, weights: Any) -> Any:
        if isinstance(weights, dict):
            return {k: float(v) if type(v) is int else v for k, v in weights.items()}
        return weights

    @field_validator("weights")
    @classmethod
    def _weights_are_finite(cls, weights: dict[str, float] | None) -> dict[str, float] | None:
        if weights is not None:
            if not weights:
                raise ValueError("expected at least one weight, got none; leave `weights:` out to weigh all alike")
            for key, weight in weights.items():
                if not -1e6 <= weight <= 1e6 or weight == 0:
                    raise ValueError(f"expected weights between -1e6 and 1e6 and not 0, got {weight} for {key!r}")
        return weights


class Spec(_Settings):
    """Everything a team declares about its users' state."""

    name: Name
    events: Events
    allowed_lateness: DurationUs
    max_clock_skew: DurationUs
    retention: DurationUs
    timezone: str = "UTC"
    seen_ids_cap: Annotated[int, Field(ge=100, le=10_000_000)] = 100_000
    tiles: dict[str, str] = {}
    features: dict[Name, Feature] = {}
    sequences: dict[Name, Sequence] = {}
    embeddings: dict[Name, Embedding] = {}

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, timezone: str) -> str:
        try:
            ZoneInfo(timezone)
        except Exception:
            raise ValueError(f"expected a time zone such as UTC or Europe/Berlin, got {timezone!r}") from None
        return timezone

    @model_validator(mode="after")
    def _declares_something(self) -> Spec:
        if not (self.features or self.sequences or self.embeddings):
            raise ValueError("expected at least one entry under features, sequences or embeddings, got none")
        return self
