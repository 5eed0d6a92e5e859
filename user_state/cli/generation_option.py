"""`--generation` of the commands that read or write records."""

from __future__ import annotations

from typing import Annotated

import typer

Generation = Annotated[
    str | None,
    typer.Option(
        help="Which generation of the records, `base` for those of none. Default: the one that is served.",
        show_default=False,
    ),
]
