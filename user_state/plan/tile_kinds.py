"""The kinds of tracks: what a tile holds beside its count, and which aggregations are read from it."""

from __future__ import annotations

TRACK_OF = {
    "count": "count",
    "sum": "sum",
    "mean": "sum",
    "geometric_mean": "log_sum",
    "min": "min",
    "max": "max",
    "variance": "variance",
    "stddev": "variance",
    "skew": "moments",
    "kurtosis": "moments",
    "recency": "times",
    "first_seen": "times",
    "gap_mean": "times",
}
"""Which kind of track each aggregation is read from."""
TRACK_COLUMNS = {"count": 0, "sum": 1, "min": 1, "max": 1, "variance": 2, "moments": 4, "times": 2, "log_sum": 1}
"""How many numbers beside the count a tile of each kind holds; `native/families/tiles/tile_values.hpp` says which."""
