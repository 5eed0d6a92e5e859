"""`user-state nearest`: which items of a table a user's embedding points to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from user_state.cli.generation_option import Generation

MOST_DECIMALS = 12


def nearest(
    user: Annotated[str, typer.Argument(help="User id.", show_default=False)],
    *,
    spec: Annotated[Path, typer.Option(help="The spec file.", show_default=False)],
    redis: Annotated[str, typer.Option(help="Where the records are: redis://host:port", show_default=False)],
    embedding: Annotated[
        str, typer.Option(help="The output of an embedding over a table, such as taste_1h.", show_default=False)
    ],
    k: Annotated[int, typer.Option("-k", min=1, help="How many items.")] = 10,
    unseen: Annotated[
        bool, typer.Option("--unseen", help="Leave out the items that the embedding is composed of.")
    ] = False,
    at: Annotated[str | None, typer.Option(help="Read as of this time (RFC 3339); default: now.")] = None,
    generation: Generation = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: items, scores, version.")] = False,
) -> None:
    """Print the items whose vectors have the greatest inner products with a user's, as a ranking service finds them.

    Example: `user-state nearest --spec user_state.yaml --redis redis://localhost:6379 --embedding taste_1h --unseen u1`
    """
    from user_state.cli.terminal import say, say_json
    from user_state.client import UserStateClient
    from user_state.printable import printable
    from user_state.times import parse_time_us

    at_us = None if at is None else parse_time_us(at)
    with UserStateClient.from_url(redis, spec, timeout_s=5, generation=generation) as client:
        found = client.nearest_items(user, k, embedding=embedding, exclude_seen=unseen, at=at_us)
    scores = [float(str(score)) for score in found.scores]
    if as_json:
        say_json({"items": found.items, "scores": scores, "version": found.version})
        return
    texts = readable(scores)
    for item, text in zip(found.items, texts, strict=True):
        say(f"{text}  {printable(item)}")
    if not found.items:
        say(f"{printable(user)} has no vector in {embedding}: no record, or no item of its last events has one")


def readable(scores: Sequence[float]) -> list[str]:
    """Return scores as texts of one width, with as many decimals as tell the least of them to four digits.

    Tables have vectors of any length, so scores may be tiny or huge; beyond twelve decimals the exponent is written.

    >>> readable([0.000123456, -0.00001]), readable([12345.678, 0.5]), readable([1e-30, 2e-31])
    (['+0.00012346', '-0.00001000'], ['+12345.6780', '    +0.5000'], ['+1.000e-30', '+2.000e-31'])
    """
    sizes = [abs(score) for score in scores if score and math.isfinite(score)]
    least = min(sizes, default=1.0)
    decimals = max(4, 3 - math.floor(math.log10(least)))
    form = f"+.{decimals}f" if decimals <= MOST_DECIMALS else "+.3e"
    texts = [format(score, form) for score in scores]
    width = max(map(len, texts), default=0)
    return [text.rjust(width) for text in texts]
