"""From a spec to a plan.

`compile_plan` walks the spec; each family of state has a file that turns its aggregations into pieces of state and
outputs. What they have in common, fields, filters, windows and pieces that are shared, is the `Builder`'s.
"""

from __future__ import annotations

from user_state.plan.compile.builder import Builder, windows_of
from user_state.plan.compile.composed import composed_vectors, folded_in, interests
from user_state.plan.compile.decays import decayed_number
from user_state.plan.compile.gaps import longest_gap
from user_state.plan.compile.keyed import decayed_table, entropy, table
from user_state.plan.compile.last_seen import distinct_values, local_days
from user_state.plan.compile.learned import learned_items
from user_state.plan.compile.logs import edge_values, sequence
from user_state.plan.compile.profiles import BINS, profile
from user_state.plan.compile.recent_items import recent_items
from user_state.plan.compile.sessions import SESSION_AGGREGATES, session_number
from user_state.plan.compile.sketches import approximate_count, approximate_quantiles
from user_state.plan.compile.tiles import histogram, ratio, tiled_number
from user_state.plan.compile.vectors import decayed_vectors
from user_state.plan.plan import Plan
from user_state.plan.tile_kinds import TRACK_OF
from user_state.spec import LoadedSpec
from user_state.spec.aggregations import MEASURES
from user_state.spec.embedding_kinds import HASH

COMPILERS = {
    **dict.fromkeys(TRACK_OF, tiled_number),
    "decayed_count": decayed_number,
    "decayed_sum": decayed_number,
    "histogram": histogram,
    "ratio": ratio,
    **dict.fromkeys(("last", "last_k", "last_distinct_k", "first", "first_k"), edge_values),
    "distinct": distinct_values,
    **dict.fromkeys(("active_days", "streak_days"), local_days),
    **dict.fromkeys(BINS, profile),
    **dict.fromkeys(SESSION_AGGREGATES, session_number),
    "longest_gap": longest_gap,
    "approx_distinct": approximate_count,
    "approx_quantiles": approximate_quantiles,
    **dict.fromkeys(MEASURES, table),
    "entropy_by": entropy,
    "decayed_count_by": decayed_table,
}
"""What turns each aggregation of a feature into state and outputs."""
EMBEDDING_COMPILERS = {
    "decayed_mean": decayed_vectors,
    "decayed_sum": decayed_vectors,
    "recent_items": recent_items,
}
"""What turns each kind of embedding over hash vectors into state and outputs."""
COMPOSED_COMPILERS = {
    "decayed_mean": composed_vectors,
    "decayed_sum": composed_vectors,
    "fold_in": folded_in,
    "interests": interests,
}
"""And each kind over a table of item vectors."""


def compile_plan(loaded: LoadedSpec) -> Plan:
    """Compile a validated spec.

    Raises:
        ValueError: the spec was not validated by `load_spec` (a window without a tile width and the like).
    """
    builder = Builder(loaded)
    for name, feature in loaded.spec.features.items():
        builder.declaring = name
        for aggregate in feature.aggregate:
            COMPILERS[aggregate](builder, name, aggregate, feature)
    for name, declared in loaded.spec.sequences.items():
        builder.declaring = name
        sequence(builder, name, declared)
    for name, wanted in loaded.spec.embeddings.items():
        builder.declaring = name
        compilers = EMBEDDING_COMPILERS if wanted.vectors == HASH else COMPOSED_COMPILERS
        compilers[wanted.kind](builder, name, wanted)
    for name, items in loaded.spec.items.items():
        if items.learned is not None:
            builder.declaring = name
            learned_items(builder, name, items)
    return builder.plan()


__all__ = ["Builder", "compile_plan", "windows_of"]
