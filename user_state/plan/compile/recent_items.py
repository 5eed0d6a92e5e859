"""Recent items: a keyed decay for every (filter, field, half-life, weights), read with each item's share beside."""

from __future__ import annotations

import json

from user_state.durations import parse_duration_us
from user_state.plan.compile.builder import Builder
from user_state.plan.outputs import DecayedTableOutput
from user_state.plan.state_definitions import KeyedDecay
from user_state.spec.embedding import Embedding


def recent_items(builder: Builder, name: str, declared: Embedding) -> None:
    """Add a table of the heaviest items for each of the embedding's half-lives.

    Without weights it is the state of a `decayed_count_by` of the same field, and shared with it.
    """
    where, of = builder.filter(declared.where), builder.id_field(declared.of)
    kind = builder.fields[of].kind
    weight_field, weighed = None, ""
    if declared.weights is not None:
        weight_field = builder.field(declared.weight_field)
        weights = json.dumps(declared.weights, sort_keys=True, ensure_ascii=False)
        weighed = f" weighed by {declared.weight_field} {weights}"
    for output, half_life in declared.outputs(name):
        half_life_us = parse_duration_us(half_life or "")
        key = f"keyed decay {builder.filter_text(where)} by {declared.of} ({kind}) by {half_life_us}{weighed}"
        old = builder.keyed_decays.get(key)
        most_keys = max(declared.kept_keys, old.most_keys if old else 0)
        piece = KeyedDecay(key, where, (of,), half_life_us, most_keys, weight_field, declared.weights)
        index = builder.keep(builder.keyed_decays, piece)
        builder.lists.append(DecayedTableOutput(output, index, declared.listed_keys, share=True))
