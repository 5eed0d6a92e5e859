"""`user-state check`: is the spec right, what comes out of it, and what a user costs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from user_state.core.compile import compile_plan
from user_state.core.plan import (
    ApproxDistinctOutput,
    ApproxQuantilesOutput,
    DecayedOutput,
    DecayedTableOutput,
    EntropyOutput,
    LastSeenOutput,
    Plan,
    ProfileOutput,
    RatioOutput,
    TableOutput,
)
from user_state.costs import ACTIVITIES, Activity, added_bytes, cost
from user_state.durations import SECOND_US, format_duration
from user_state.spec import LoadedSpec, load_spec
from user_state.spec.aggregations import AGGREGATIONS
from user_state.spec.event_schema import EventSchema
from user_state.spec.resolution import changes

WIDEST_TABLE = 1000
TYPICAL = ACTIVITIES[1]


def check(
    spec: Annotated[Path, typer.Argument(help="The spec file.", show_default=False)],
    sessions_a_day: Annotated[
        float | None, typer.Option(help="Weigh a user of this many sessions a day too.", min=0.01, max=1000)
    ] = None,
    events_a_session: Annotated[int, typer.Option(help="Events in each of those sessions.", min=1, max=10_000)] = 10,
    days: Annotated[int, typer.Option(help="For how many days that user has been active.", min=1, max=365)] = 30,
) -> None:
    """Validate a spec and list its outputs: type, window, tile width, error bound, default; and the bytes a user.

    Lists the event schemas that are accepted, with their fingerprints, and how other versions' fields differ.

    A window may reach back further than it says by at most its tile width: that is the error bound of what is exact
    otherwise. Sketches add their own: of a count its relative standard error, of quantiles how far their rank may be
    off, in 99 of 100 cases. The bytes beside a feature are what it adds to a typical user's record; what several share
    is counted for none of them.

    Example: `user-state check user_state.yaml --sessions-a-day 3`
    """
    loaded = load_spec(spec)
    plan = compile_plan(loaded)
    console = Console()
    table = outputs_table(plan, _bytes_by_output(loaded))
    # Wider than the terminal rather than cut: names are there to be copied, and a terminal wraps.
    widest = console.options.update(max_width=WIDEST_TABLE)
    console.width = max(console.width, console.measure(table, options=widest).maximum)
    console.print(
        f"{spec}: ok. {len(plan.scalars) + len(plan.arrays)} features, {len(plan.all_lists)} sequences,"
        f" {len(plan.embeddings)} embeddings of events of {loaded.schema.name}\n",
        highlight=False,
    )
    console.print(table)
    if plan.keyed_tracks or plan.keyed_decays:
        console.print(
            "\nkeys: exact as long as no tile has more of them than stated; beyond that a count is never too high, and"
            "\ntoo low by at most the stated part of N, the window's events with a key (decayed as the counts are)",
            highlight=False,
        )
    _print_versions(console, loaded.schema)
    given = () if sessions_a_day is None else (Activity("given", sessions_a_day, events_a_session, days),)
    lateness = format_duration(plan.allowed_lateness_us)
    console.print(f"\nexpected bytes a user in Redis, keys included; remembered ids: those of the last {lateness}\n")
    console.print(costs_table(loaded, (*ACTIVITIES, *given)))


def _print_versions(console: Console, schema: EventSchema) -> None:
    """Print the schemas that events are found by, each with what reading it as `schema` does."""
    console.print("\nevent schemas accepted, by fingerprint:", highlight=False)
    for accepted in (schema, *schema.versions):
        differs = ", ".join(changes(accepted.whole, schema.whole)) or "no difference"
        told = "what all are read as" if accepted is schema else differs
        line = f"  {accepted.fingerprint.hex()}  {accepted.file}: {told}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def costs_table(loaded: LoadedSpec, activities: Sequence[Activity]) -> Table:
    """Return a table of what a user of each activity costs."""
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("user", "sessions a day", "events a session", "days", "record", "remembered ids"):
        table.add_column(heading, no_wrap=True, justify="left" if heading == "user" else "right")
    for activity in activities:
        bytes_of = cost(loaded, activity)
        table.add_row(
            activity.label,
            f"{activity.sessions_a_day:g}",
            f"{activity.events_a_session:,}",
            f"{activity.days:,}",
            f"{bytes_of.record_in_redis:,}",
            f"{bytes_of.seen_in_redis:,}",
        )
    return table


def _bytes_by_output(loaded: LoadedSpec) -> dict[str, str]:
    """Return for the first output of each feature, sequence and embedding the bytes that it adds."""
    added = added_bytes(loaded, TYPICAL)
    spec = loaded.spec
    first = {name: name for name in spec.sequences}
    for name, feature in spec.features.items():
        aggregate = feature.aggregate[0]
        reach = getattr(feature, AGGREGATIONS[aggregate].over)[0]
        first[name] = f"{name}_{aggregate}_{reach}"
    for name, embedding in spec.embeddings.items():
        first[name] = embedding.outputs(name)[0][0]
    return {output: f"{added[name]:,}" for name, output in first.items()}


def outputs_table(plan: Plan, bytes_of: Mapping[str, str]) -> Table:
    """Return a table of every output; `bytes_of` some of them is what their feature adds to a record."""
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for heading in ("output", "type", "window", "tile", "error bound", "over nothing", "bytes"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "bytes" else "left")
    for name, *rest in _rows(plan):
        table.add_row(name, *rest, bytes_of.get(name))
    return table


def _rows(plan: Plan) -> Iterator[tuple[str, ...]]:
    """Yield (name, type, window, tile, error bound, over nothing) of every output."""
    for scalar in plan.scalars:
        default = "none (NaN)" if math.isnan(scalar.empty) else f"{scalar.empty:g}"
        if isinstance(scalar, DecayedOutput):
            reach_us = plan.decays[scalar.decay].half_lives_us[scalar.half_life]
            yield scalar.name, "float32", f"half-life {format_duration(reach_us)}", "-", "0", default
            continue
        window = scalar.numerator.window if isinstance(scalar, RatioOutput) else scalar.window
        tile, bound = _tile(window.reach_s, window.width_s)
        # The cap on days is ten years': no shorter window comes near it.
        if isinstance(scalar, LastSeenOutput) and (scalar.aggregate == "distinct" or window.reach_s is None):
            bound += f"; up to {scalar.cap:,}"
        if isinstance(scalar, ApproxDistinctOutput):
            bound += f"; {100 * scalar.error:.2g} % standard error"
        if isinstance(scalar, EntropyOutput):
            bound += f"; exact up to {plan.keyed_tracks[scalar.track].most_keys} keys a tile"
        yield scalar.name, "float32", window.text, tile, bound, default
    for array in plan.arrays:
        if isinstance(array, ProfileOutput):
            profile = plan.profiles[array.profile]
            reach = f"half-life {format_duration(profile.half_lives_us[array.half_life])}"
            yield array.name, f"float32 x {profile.bins}", reach, "-", "0", "zeros"
            continue
        if isinstance(array, ApproxQuantilesOutput):
            tile, bound = _tile(array.window.reach_s, array.window.width_s)
            bound += f"; {100 * array.error:.2g} % of rank"
            default = "none (NaN)" if math.isnan(array.empty) else f"{array.empty:g}"
            shares = ", ".join(f"{share:g}" for share in array.quantiles)
            yield array.name, f"float32 at {shares}", array.window.text, tile, bound, default
            continue
        window = array.parts[0].window
        kind, empty = f"float32 x {len(array.parts)}", f"{array.parts[0].empty:g}"
        yield array.name, kind, window.text, *_tile(window.reach_s, window.width_s), empty
    for output in plan.lists:
        if isinstance(output, TableOutput | DecayedTableOutput):
            yield _keyed_row(plan, output)
            continue
        window = output.window
        which = output.aggregate.removesuffix("_k").replace("_", " ")
        kind = f"{which} {output.k} of {', '.join(field.name for field in output.fields)}"
        yield output.name, kind, window.text, *_tile(window.reach_s, window.width_s), "empty"
    for sequence in plan.sequences:
        fields = ", ".join(field.name for field in sequence.fields)
        within = "lifetime" if sequence.within_us is None else format_duration(sequence.within_us)
        yield sequence.name, f"last {sequence.last} of {fields}", within, "-", "0", "empty"
    for embedding in plan.embeddings:
        half_life_us = plan.vectors[embedding.vectors].half_lives_us[embedding.half_life]
        kind = f"float32 x {embedding.dimensions}"
        yield embedding.name, kind, f"half-life {format_duration(half_life_us)}", "-", "0", "zeros"


def _keyed_row(plan: Plan, output: TableOutput | DecayedTableOutput) -> tuple[str, ...]:
    """Return the row of a table of keys; how far a key may be too low goes by N, the window's events or their decay."""
    if isinstance(output, DecayedTableOutput):
        decay = plan.keyed_decays[output.decay]
        by, most_keys, kind = decay.by, decay.most_keys, "decayed count"
        window, width, bound = f"half-life {format_duration(decay.half_life_us)}", "-", "0"
    else:
        track = plan.keyed_tracks[output.track]
        by, most_keys, kind = track.by, track.most_keys, output.shown
        window, (width, bound) = output.window.text, _tile(output.window.reach_s, output.window.width_s)
    of = f"{kind} by " * bool(kind) + ", ".join(plan.fields[field].name for field in by)
    over = "keys" if isinstance(output, DecayedTableOutput) else "keys a tile"
    limit = f"{bound}; N/{most_keys + 1} low above {most_keys} {over}"
    return output.name, f"top {output.k} of {of}", window, width, limit, "empty"


def _tile(reach_s: int | None, width_s: int) -> tuple[str, str]:
    if reach_s is None:
        return "-", "0"
    width = format_duration(width_s * SECOND_US)
    return width, f"< {width} ({100 * width_s / reach_s:.2g} %)"
