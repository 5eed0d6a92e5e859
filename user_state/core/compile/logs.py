"""`last_k` and sequences: one log for every (filter, required field), as long and wide as any of its readers asks."""

from __future__ import annotations

from user_state.core.compile.builder import Builder
from user_state.core.plan import ListOutput, Log, SequenceOutput
from user_state.durations import SECOND_US
from user_state.spec.model import Feature, Sequence


def last_values(builder: Builder, name: str, aggregate: str, feature: Feature) -> None:
    """Add a `last_k` over each of the feature's windows."""
    assert feature.of is not None  # the model demands it of last_k  # noqa: S101
    assert feature.k is not None  # noqa: S101
    where, of = builder.filter(feature.where), builder.field(feature.of)
    for window in (builder.windows[text] for text in feature.windows):
        reach_us = None if window.reach_s is None else (window.reach_s + window.width_s) * SECOND_US
        log = _log(builder, where, of, (of,), feature.k, reach_us)
        builder.lists.append(ListOutput(f"{name}_{aggregate}_{window.text}", log, 0, feature.k, window))


def sequence(builder: Builder, name: str, declared: Sequence) -> None:
    """Add a named sequence."""
    fields = tuple(builder.field(field) for field in declared.fields)
    log = _log(builder, builder.filter(declared.where), None, fields, declared.last, declared.within)
    kept = list(builder.logs.values())[log].fields
    columns = tuple(kept.index(field) for field in fields)
    of = tuple(builder.fields[f] for f in fields)
    builder.sequences.append(SequenceOutput(name, log, columns, of, declared.last, declared.within))


def _log(
    builder: Builder, where: int, required: int | None, fields: tuple[int, ...], cap: int, reach_us: int | None
) -> int:
    key = f"log {builder.filter_text(where)} of {builder.field_name(required)}"
    old = builder.logs.get(key)
    if old is not None:
        fields = old.fields + tuple(f for f in fields if f not in old.fields)
        cap = max(cap, old.cap)
        reach_us = None if reach_us is None or old.reach_us is None else max(reach_us, old.reach_us)
    return builder.keep(builder.logs, Log(key, where, required, fields, cap, reach_us))
