"""What each event weighs: 1, or what the spec says of its value of one field."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from user_state.core.events import F64, Events


def event_weights(events: Events, field: int | None, weights: Mapping[str, float] | None) -> F64:
    """Return (m,) the events' weights by the value of a string field; 0 for values without, and nulls."""
    if field is None or weights is None:
        return np.ones(len(events))
    # One entry more than the pool, for nulls.
    table = np.array([weights.get(text, 0.0) for text in events.pool.texts] + [0.0])
    weight: F64 = table[events.columns[field]]
    return weight
