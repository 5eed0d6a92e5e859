"""A table of item vectors as a spec declares it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from user_state.spec.values import Settings


class Items(Settings):
    """A table of item vectors, loaded by `user-state items load` and looked up when records are read."""

    dimensions: Annotated[int, Field(ge=1, le=4096)] = Field(description="a whole number from 1 to 4096")
