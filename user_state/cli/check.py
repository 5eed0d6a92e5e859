"""`user-state check`: is the spec right, what comes out of it, and what a user costs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from user_state.core.compile import compile_plan
from user_state.core.plan import DecayedOutput, Plan, RatioOutput
from user_state.costs import expected_bytes
from user_state.durations import SECOND_US, format_duration
from user_state.spec import load_spec

WIDEST_TABLE = 1000


def check(spec: Annotated[Path, typer.Argument(help="The spec file.", show_default=False)]) -> None:
    """Validate a spec and list its outputs: type, window, tile width, error bound, default; and the bytes a user.

    A window may reach back further than it says by at most its tile width: that is the error bound, and all of it.
    """
    loaded = load_spec(spec)
    plan = compile_plan(loaded)
    console = Console()
    table = outputs_table(plan)
    # Wider than the terminal rather than cut: names are there to be copied, and a terminal wraps.
    widest = console.options.update(max_width=WIDEST_TABLE)
    console.width = max(console.width, console.measure(table, options=widest).maximum)
    console.print(
        f"{spec}: ok. {len(plan.scalars) + len(plan.arrays)} features, {len(plan.all_lists)} sequences,"
        f" {len(plan.embeddings)} embeddings of events of {loaded.schema.name}\n",
        highlight=False,
    )
    console.print(table)
    cost = expected_bytes(plan)
    console.print(
        f"\nexpected bytes a user, keys included:"
        f" light {cost.light:,}, typical {cost.typical:,}, heavy {cost.heavy:,};"
        f" remembered ids: {cost.bytes_an_event} an event of the last {format_duration(plan.allowed_lateness_us)}"
        f"\n(light: 5 events; typical: 3 sessions of 10 events a day over the windows; heavy: every tile filled)",
        highlight=False,
    )


def outputs_table(plan: Plan) -> Table:
    """Return a table of every output."""
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("output", "type", "window", "tile", "error bound", "over nothing"):
        table.add_column(heading, no_wrap=True)
    for scalar in plan.scalars:
        default = "none (NaN)" if math.isnan(scalar.empty) else f"{scalar.empty:g}"
        if isinstance(scalar, DecayedOutput):
            reach_us = plan.decays[scalar.decay].half_lives_us[scalar.half_life]
            table.add_row(scalar.name, "float32", f"half-life {format_duration(reach_us)}", "-", "0", default)
            continue
        window = scalar.numerator.window if isinstance(scalar, RatioOutput) else scalar.window
        table.add_row(scalar.name, "float32", window.text, *_tile(window.reach_s, window.width_s), default)
    for array in plan.arrays:
        window = array.parts[0].window
        kind = f"float32 x {len(array.parts)}"
        table.add_row(
            array.name, kind, window.text, *_tile(window.reach_s, window.width_s), f"{array.parts[0].empty:g}"
        )
    for output in plan.lists:
        window = output.window
        which = output.aggregate.removesuffix("_k").replace("_", " ")
        kind = f"{which} {output.k} of {', '.join(field.name for field in output.fields)}"
        table.add_row(output.name, kind, window.text, *_tile(window.reach_s, window.width_s), "empty")
    for sequence in plan.sequences:
        fields = ", ".join(field.name for field in sequence.fields)
        within = "lifetime" if sequence.within_us is None else format_duration(sequence.within_us)
        table.add_row(sequence.name, f"last {sequence.last} of {fields}", within, "-", "0", "empty")
    for embedding in plan.embeddings:
        half_life_us = plan.vectors[embedding.vectors].half_lives_us[embedding.half_life]
        kind = f"float32 x {embedding.dimensions}"
        table.add_row(embedding.name, kind, f"half-life {format_duration(half_life_us)}", "-", "0", "zeros")
    return table


def _tile(reach_s: int | None, width_s: int) -> tuple[str, str]:
    if reach_s is None:
        return "-", "0"
    width = format_duration(width_s * SECOND_US)
    return width, f"< {width} ({100 * width_s / reach_s:.2g} %)"
