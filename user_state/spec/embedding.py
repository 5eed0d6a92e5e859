"""An embedding as a spec declares it; `embedding_kinds.py` says which keys go with which kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from user_state.spec.embedding_kinds import (
    DEFAULT_RECENT,
    DEFAULT_RECENT_KEPT,
    EMBEDDING_KINDS,
    HASH,
    ONLY_COMPOSED,
    ONLY_HASHED,
)
from user_state.spec.filters import EVERY, WHERE, Where
from user_state.spec.values import Duration, Name, Settings, Weight, as_list, distinct, misfit


def _kind(name: str) -> str:
    if name not in EMBEDDING_KINDS:
        choices = ", ".join(f"'{choice}'" for choice in EMBEDDING_KINDS)
        raise PydanticCustomError("literal_error", "expected a kind of embedding", {"expected": choices})
    return name


class Embedding(Settings):
    """What a user acted on lately, as vectors."""

    kind: Annotated[str, AfterValidator(_kind)] = Field(description=" or ".join(EMBEDDING_KINDS))
    of: str = Field(description="the event field that names the item")
    where: Where = Field(default=EVERY, description=WHERE)
    dimensions: Annotated[int, Field(ge=1, le=4096)] = Field(default=0, description="a whole number from 1 to 4096")
    half_life: Annotated[
        list[Duration],
        BeforeValidator(as_list),
        AfterValidator(distinct),
        Field(min_length=1, description="a duration such as 1h or 7d, or a list of them"),
    ] = []
    weights: dict[str, Weight] | None = Field(
        default=None,
        description="a number from -1e6 to 1e6, and not 0, for each value of `weight_field`, such as {like: 3.0}",
    )
    weight_field: str = Field(default="action", description="the event field that `weights` go by")
    k: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="how many items to list, a whole number from 1 to 10000"
    )
    keys: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="how many items to keep, a whole number from 1 to 10000"
    )
    storage: Literal["float32", "float16"] = Field(default="float32", description="float32 or float16")
    normalise: Literal["none", "unit"] = Field(default="none", description="none or unit")
    vectors: Name = Field(default=HASH, description=f"{HASH}, or the name of a table under `items:`")
    last: Annotated[int, Field(ge=1, le=1_000)] = Field(
        default=50, description="how many of the last events to compose it of, a whole number from 1 to 1000"
    )
    most: Annotated[int, Field(ge=1, le=50)] = Field(
        default=3, description="how many interests to find at most, a whole number from 1 to 50"
    )
    threshold: Annotated[float, Field(ge=-1, le=1)] = Field(
        default=0.5, description="the least cosine to an interest to belong to it, a number from -1 to 1"
    )
    alpha0: Annotated[float, Field(ge=0, le=1e6)] = Field(
        default=0.1, description="how much what the user did not do counts, a number from 0 to 1e6"
    )
    regularisation: Annotated[float, Field(gt=0, le=1e6)] = Field(
        default=0.1, description="a number above 0 and up to 1e6"
    )

    @field_validator("weights")
    @classmethod
    def _weighs_something(cls, weights: dict[str, float] | None) -> dict[str, float] | None:
        if weights is not None and not weights:
            raise ValueError("expected at least one weight, got none; leave `weights:` out to weigh all alike")
        return weights

    @model_validator(mode="after")
    def _keys_fit(self) -> Embedding:
        kind = EMBEDDING_KINDS[self.kind]
        over_table = self.vectors != HASH
        for key in kind.needed_over(self.vectors):
            if key not in self.model_fields_set:
                raise ValueError(f"kind {self.kind} needs `{key}:`, {Embedding.model_fields[key].description}")
        if not over_table and kind.composed_only:
            raise misfit("vectors", f"kind {self.kind} needs a table of `vectors:`, got {HASH}")
        for key in sorted(self.model_fields_set & (ONLY_HASHED if over_table else ONLY_COMPOSED)):
            if key in kind.usable:
                said = "takes no" if over_table else "without a table of `vectors:` takes no"
                over = f" over table {self.vectors}" if over_table else ""
                raise misfit(key, f"kind {self.kind}{over} {said} `{key}:`")
        for key in sorted(self.model_fields_set - set(kind.usable) - {"kind", "of"}):
            users = [name for name, other in EMBEDDING_KINDS.items() if key in other.usable]
            raise misfit(key, f"kind {self.kind} takes no `{key}:`; it is for {', '.join(users)}")
        if self.k is not None and self.k > self.kept_keys:
            raise misfit("k", f"expected `k:` of at most `keys:`, {self.kept_keys}, got {self.k}")
        least = min((self.weights or {"": 1.0}).values())
        if self.kind == "recent_items" and least < 0:
            raise misfit("weights", f"expected weights above 0 for kind recent_items, got {least:g}")
        return self

    @property
    def kept_keys(self) -> int:
        """How many items are kept at most."""
        return DEFAULT_RECENT_KEPT if self.keys is None else self.keys

    @property
    def listed_keys(self) -> int:
        """How many items are listed at most."""
        return min(DEFAULT_RECENT, self.kept_keys) if self.k is None else self.k

    def outputs(self, name: str) -> list[tuple[str, str | None]]:
        """Return (name of the output, its half-life or None) for each output, `name` being the embedding's."""
        if EMBEDDING_KINDS[self.kind].over is None:
            return [(name, None)]
        return [(f"{name}_{half_life}", half_life) for half_life in self.half_life]
