"""A table of item vectors as a spec declares it: loaded from a file, or learned by the pipeline."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from user_state.spec.filters import EVERY, WHERE, Where
from user_state.spec.values import A_DURATION, DurationUs, Settings

DEFAULT_REACH = 10
DEFAULT_PAIR_HALF_LIFE_US = 60 * 1_000_000
"""People do what belongs together within minutes."""
DEFAULT_SPREAD = 8
"""As many as the pipeline has shards by default: then no two of them write the same part."""


class Learned(Settings):
    """Item vectors learned from which items one user acts on near one another in time."""

    of: str = Field(description="the event field that names the item")
    reach: Annotated[int, Field(ge=1, le=200)] = Field(
        default=DEFAULT_REACH, description="how many events on either side are paired, a whole number from 1 to 200"
    )
    half_life: DurationUs = Field(default=DEFAULT_PAIR_HALF_LIFE_US, description=A_DURATION)
    spread: Annotated[int, Field(ge=1, le=64)] = Field(
        default=DEFAULT_SPREAD, description="how many records an item is spread over, a whole number from 1 to 64"
    )
    forget: DurationUs | None = Field(default=None, description=A_DURATION)
    where: Where = Field(default=EVERY, description=WHERE)


class Items(Settings):
    """A table of item vectors: loaded by `user-state items load`, or learned; looked up when records are read."""

    dimensions: Annotated[int, Field(ge=1, le=4096)] = Field(description="a whole number from 1 to 4096")
    learned: Learned | None = Field(default=None, description="a mapping with of")
