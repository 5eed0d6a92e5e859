"""The outputs of a spec as rows: what `user-state check` lists, as a table and as JSON.

An error bound is how much of its length a window may reach back further than it says, its old edge being rounded down
to a tile; then what a sketch, or a bounded table of keys, adds to that.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from user_state.durations import SECOND_US, format_duration
from user_state.plan.outputs import (
    AnyArray,
    AnyComposed,
    AnyEmbedding,
    ApproxDistinctOutput,
    ApproxQuantilesOutput,
    DecayedOutput,
    DecayedTableOutput,
    EmbeddingOutput,
    EntropyOutput,
    InterestsOutput,
    InterestWeightsOutput,
    LastSeenOutput,
    ListOutput,
    ProfileOutput,
    RatioOutput,
    SequenceOutput,
    TableOutput,
)
from user_state.plan.plan import Plan
from user_state.plan.state_definitions import Window
from user_state.spec.values import LIFETIME

EMPTY, ZEROS, NONE = "empty", "zeros", "NaN"


@dataclass(frozen=True)
class OutputRow:
    """One output.

    Attributes:
        name, type: what it is called and what comes out.
        over: its window or half-life.
        tile: the width of its window's tiles, "-" for none.
        error_bound: see the module; "0" for what is exact.
        default: what it is over nothing: a number, NaN, zeros, or empty.
    """

    name: str
    type: str
    over: str
    tile: str
    error_bound: str
    default: str


def outputs_table(plan: Plan, bytes_of: Mapping[str, int]) -> Table:
    """Return a table of every output; `bytes_of` some of them is what their feature adds to a record.

    Types and bounds wrap where the console is narrow; names do not: they are there to be copied.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("output", "type", "over", "tile", "error bound", "default", "bytes"):
        wraps = heading in ("type", "error bound")
        table.add_column(heading, no_wrap=not wraps, justify="right" if heading == "bytes" else "left")
    for row in output_rows(plan):
        added = bytes_of.get(row.name)
        cells = (row.name, row.type, row.over, row.tile, row.error_bound, row.default)
        table.add_row(*cells, None if added is None else f"{added:,}")
    return table


def output_rows(plan: Plan) -> Iterator[OutputRow]:
    """Yield a row for every output: scalars in the order of a batch's columns, arrays, lists, embeddings."""
    for scalar in plan.scalars:
        yield _scalar(plan, scalar)
    for array in plan.arrays:
        yield _array(plan, array)
    for listed in plan.lists:
        yield _list(listed) if isinstance(listed, ListOutput) else _keyed(plan, listed)
    for sequence in plan.sequences:
        yield _sequence(sequence)
    for embedding in plan.embeddings:
        yield _embedding(plan, embedding)


def _scalar(plan: Plan, output: Any) -> OutputRow:
    if isinstance(output, DecayedOutput):
        over = _half_life(plan.decays[output.decay].half_lives_us[output.half_life])
        return OutputRow(output.name, "float32", over, "-", "0", _number(output.empty))
    window, empty = (
        (output.numerator.window, _empty_ratio(output))
        if isinstance(output, RatioOutput)
        else (output.window, output.empty)
    )
    tile, bound = _tile(window)
    # The cap on days is ten years': no shorter window comes near it.
    if isinstance(output, LastSeenOutput) and (output.aggregate == "distinct" or window.reach_s is None):
        bound += f"; up to {output.cap:,}"
    if isinstance(output, ApproxDistinctOutput):
        bound += f"; {100 * output.error:.2g} % standard error"
    if isinstance(output, EntropyOutput):
        bound += f"; exact up to {plan.keyed_tracks[output.track].most_keys:,} keys"
    return OutputRow(output.name, "float32", window.text, tile, bound, _number(empty))


def _empty_ratio(output: RatioOutput) -> float:
    """Return what a ratio is over nothing: its prior's rate, if counts and sums of nothing leave nothing else."""
    above = output.numerator.empty + output.weight * output.rate
    below = output.denominator.empty + output.weight
    ratio = math.nan if below == 0 else above / below
    return ratio if math.isfinite(ratio) else output.empty


def _array(plan: Plan, output: AnyArray) -> OutputRow:
    if isinstance(output, InterestWeightsOutput):
        kind = f"float32 x {output.of.most}"
        return OutputRow(output.name, kind, _half_life(output.of.half_life_us), "-", _composed_of(output.of), ZEROS)
    if isinstance(output, ProfileOutput):
        profile = plan.profiles[output.profile]
        over = _half_life(profile.half_lives_us[output.half_life])
        return OutputRow(output.name, f"float32 x {profile.bins}", over, "-", "0", ZEROS)
    if isinstance(output, ApproxQuantilesOutput):
        tile, bound = _tile(output.window)
        shares = ", ".join(f"{share:g}" for share in output.quantiles)
        bound += f"; {100 * output.error:.2g} % of rank"
        return OutputRow(output.name, f"float32 at {shares}", output.window.text, tile, bound, _number(output.empty))
    window, kind = output.parts[0].window, f"float32 x {len(output.parts)}"
    return OutputRow(output.name, kind, window.text, *_tile(window), ZEROS)


def _list(output: ListOutput) -> OutputRow:
    which = output.aggregate.removesuffix("_k").replace("_", " ")
    kind = f"{which} {output.k} of {', '.join(field.name for field in output.fields)}"
    return OutputRow(output.name, kind, output.window.text, *_tile(output.window), EMPTY)


def _keyed(plan: Plan, output: TableOutput | DecayedTableOutput) -> OutputRow:
    """Return the row of a table of keys; how far a key may be too low goes by N, the window's events or their decay."""
    if isinstance(output, DecayedTableOutput):
        decay = plan.keyed_decays[output.decay]
        by, most_keys = decay.by, decay.most_keys
        kind = "decayed count and share" if output.share else "decayed count"
        over, tile, bound = _half_life(decay.half_life_us), "-", "0"
    else:
        track = plan.keyed_tracks[output.track]
        by, most_keys, kind = track.by, track.most_keys, output.shown
        over, (tile, bound) = output.window.text, _tile(output.window)
    of = f"{kind} by " * bool(kind) + ", ".join(plan.fields[field].name for field in by)
    limit = f"{bound}; N/{most_keys + 1:,} above {most_keys:,} keys"
    return OutputRow(output.name, f"top {output.k} of {of}", over, tile, limit, EMPTY)


def _sequence(output: SequenceOutput) -> OutputRow:
    fields = ", ".join(f"{field.name} (a list)" if field.is_one_text else field.name for field in output.fields)
    over = LIFETIME if output.within_us is None else format_duration(output.within_us)
    return OutputRow(output.name, f"last {output.last} of {fields}", over, "-", "0", EMPTY)


def _embedding(plan: Plan, output: AnyEmbedding) -> OutputRow:
    if not isinstance(output, EmbeddingOutput):
        most = f"{output.most} x " if isinstance(output, InterestsOutput) else ""
        kind = f"float32 x {most}{output.dimensions}"
        return OutputRow(output.name, kind, _half_life(output.half_life_us), "-", _composed_of(output), ZEROS)
    vectors = plan.vectors[output.vectors]
    over = _half_life(vectors.half_lives_us[output.half_life])
    bound = "0" if vectors.component_bytes == 4 else "1.5e-5 sqrt(folds a half-life)"
    return OutputRow(output.name, f"float32 x {output.dimensions}", over, "-", bound, ZEROS)


def _composed_of(output: AnyComposed) -> str:
    return f"0; of the last {output.history.last:,} events, items of {output.table}"


def _half_life(half_life_us: int) -> str:
    return f"half-life {format_duration(half_life_us)}"


def _number(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:g}"


def _tile(window: Window) -> tuple[str, str]:
    """Return the width of a window's tiles, and how much of its length it may cover too much."""
    if window.reach_s is None:
        return "-", "0"
    return format_duration(window.width_s * SECOND_US), f"< {100 * window.width_s / window.reach_s:.2g} %"
