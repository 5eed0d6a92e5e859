"""Lists of values and sequences: one log for every (what it keeps, filter, required field).

A log is as long and as wide as any of its readers asks.
"""

from __future__ import annotations

from typing import Literal

from user_state.durations import SECOND_US
from user_state.plan.compile.builder import NAN, Builder
from user_state.plan.outputs import ListOutput, LoggedOutput, SequenceOutput
from user_state.plan.state_definitions import Log, Window
from user_state.spec.model import Feature, Sequence

Keeps = Literal["last", "distinct", "first"]
_KEEPS: dict[str, Keeps] = {
    "last": "last",
    "last_k": "last",
    "last_distinct_k": "distinct",
    "first": "first",
    "first_k": "first",
}


def edge_values(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add the last or first values over each of the feature's windows: a number, or a list of k."""
    assert feature.of is not None  # the model demands it of them all  # noqa: S101
    as_it_is = aggregate.endswith("_k")
    where, of = builder.filter(feature.where), (builder.field if as_it_is else builder.number_field)(feature.of)
    fields = (of, *(builder.field(beside) for beside in feature.with_))
    k = feature.k if aggregate.endswith("_k") else 1
    assert k is not None  # the model demands it where it is used  # noqa: S101
    for window in (builder.windows[text] for text in feature.windows):
        output = f"{name}_{aggregate}_{window.text}"
        reach_us = None if window.reach_s is None else (window.reach_s + window.width_s) * SECOND_US
        log, columns = kept_log(builder, _KEEPS[aggregate], where, of, fields, k, reach_us, (window,))
        kinds = tuple(builder.fields[f] for f in fields)
        if not aggregate.endswith("_k"):
            empty = NAN if feature.default is None else feature.default
            builder.scalars.append(LoggedOutput(output, aggregate, log, columns[0], window, empty))
        else:
            builder.lists.append(ListOutput(output, aggregate, log, columns, kinds, k, window))


def sequence(builder: Builder, name: str, declared: Sequence) -> None:
    """Add a named sequence."""
    fields = tuple(builder.field(field) for field in declared.fields)
    where = builder.filter(declared.where)
    log, columns = kept_log(builder, "last", where, None, fields, declared.last, declared.within)
    of = tuple(builder.fields[f] for f in fields)
    builder.sequences.append(SequenceOutput(name, log, columns, of, declared.last, declared.within))


def kept_log(
    builder: Builder,
    keeps: Keeps,
    where: int,
    required: int | None,
    fields: tuple[int, ...],
    cap: int,
    reach_us: int | None,
    windows: tuple[Window, ...] = (),
) -> tuple[int, tuple[int, ...]]:
    """Return the index of the log that keeps these fields, and where among its columns they are."""
    kind = "log" if keeps == "last" else f"{keeps} log"
    key = f"{kind} {builder.filter_text(where)} of {builder.field_name(required)}"
    old = builder.logs.get(key)
    wide = fields
    if old is not None:
        wide = old.fields + tuple(f for f in fields if f not in old.fields)
        cap = max(cap, old.cap)
        reach_us = None if reach_us is None or old.reach_us is None else max(reach_us, old.reach_us)
        windows = tuple(dict.fromkeys((*old.windows, *windows)))
    index = builder.keep(builder.logs, Log(key, keeps, where, required, wide, cap, reach_us, windows))
    return index, tuple(wide.index(f) for f in fields)
