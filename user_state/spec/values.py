"""The values that a spec is made of: durations, names, weights, and lists of them; filters.py has filters."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from user_state.durations import parse_duration_us
from user_state.sizes import parse_size

LIFETIME = "lifetime"
LONGEST_DURATION = "36500d"
"""A century: far beyond any feature, and far from where microseconds overflow 64 bits."""
A_DURATION = f"a duration such as 30s, 10m, 1h or 7d, above 0 and at most {LONGEST_DURATION}"
A_NAME = "a name of lower-case letters, digits and _, beginning with a letter, at most 100 long"

LEAST_RECORD, MOST_RECORD = "64KB", "256MB"
"""The least holds every item of a learned table (4,096 components); the most is half of what Redis takes as a value."""
A_RECORD_SIZE = f"a size such as 512KB or 1MB, from {LEAST_RECORD} to {MOST_RECORD}"

_T = TypeVar("_T")


def _duration_us(text: Any) -> int:
    try:
        duration_us = parse_duration_us(text)
    except ValueError:
        raise PydanticCustomError("duration", "expected a duration") from None
    if duration_us > parse_duration_us(LONGEST_DURATION):
        raise PydanticCustomError("duration", "expected a shorter duration")
    return duration_us


def _duration(text: str) -> str:
    _duration_us(text)
    return text


def _record_size(text: Any) -> int:
    try:
        size = parse_size(text)
    except ValueError:
        raise PydanticCustomError("size", "expected a size") from None
    if not parse_size(LEAST_RECORD) <= size <= parse_size(MOST_RECORD):
        raise PydanticCustomError("size", "expected another size")
    return size


def _window(text: str) -> str:
    return text if text == LIFETIME else _duration(text)


def misfit(key: str, said: str) -> PydanticCustomError:
    """Return the error that `said` is wrong with `key`, given the keys beside it."""
    return PydanticCustomError("misfit", "{said}", {"said": said, "key": key})


def as_list(value: Any) -> Any:
    """Return a list as it is, and anything else as a list of itself."""
    return value if isinstance(value, list) else [value]


def distinct(listed: list[_T]) -> list[_T]:
    """Return a list that names nothing twice.

    Raises:
        ValueError: it does; says what.
    """
    for index, value in enumerate(listed):
        if value in listed[:index]:
            raise ValueError(f"expected each at most once, got {value!r} twice")
    return listed


def _weight(weight: float) -> float:
    if not -1e6 <= weight <= 1e6 or weight == 0:
        raise PydanticCustomError("weight", "expected another number")
    return weight


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*\z", max_length=100)]
DurationUs = Annotated[int, BeforeValidator(_duration_us)]
Duration = Annotated[str, AfterValidator(_duration)]
Window = Annotated[str, AfterValidator(_window)]
RecordSize = Annotated[int, BeforeValidator(_record_size)]
"""In bytes."""
Weight = Annotated[float, AfterValidator(_weight)]


class Settings(BaseModel):
    """Part of a spec: no unknown keys, no conversions, not to be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
