"""Options of commands that read a log: its format, and which of its columns is what.

What is not given is the spec's, or as data sets have it: `user_state/evaluation/spec_columns.py`.
"""

from __future__ import annotations

from typing import Annotated

import typer

LogFormat = Annotated[
    str, typer.Option("--format", help="auto, events, table (names in the first line), triples (user item seconds).")
]
UserColumn = Annotated[
    str | None, typer.Option(help="Of a table: the column of the user; default: the spec's, or user_id.")
]
ItemColumn = Annotated[
    str | None,
    typer.Option(help="The column or field of the item; default: that of the spec's embeddings, or item_id."),
]
TimeColumn = Annotated[
    str | None,
    typer.Option(help="Of a table: the column of the time since 1970; default: the spec's, or timestamp."),
]
TimeUnit = Annotated[
    str | None,
    typer.Option(help="Of a table: what the time counts: s, ms or us; default: as the spec's schema says, or s."),
]
ValueColumn = Annotated[str | None, typer.Option(help="The column or event field of a number.")]
