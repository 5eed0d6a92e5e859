"""The aggregations a feature can name: which keys each needs or takes beside `aggregate:`, `where:` and `default:`.

The model's rules, the field checks, the names of outputs and the documentation's completeness are all read from this
table, so that an aggregation is declared in one place.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

NUMBER = ("float", "int", "bool")
"""Booleans count as 0 and 1."""
ANY_FIELD = ("string", "float", "int", "bool")
KEY_FIELD = ("string", "int", "bool", "strings", "ints", "bools")
"""Of an array each value is a key."""
EDGE_FIELD = ("float", "int", "bool")
MOST_KEY_FIELDS = 3
DEFAULT_K, DEFAULT_KEYS = 10, 64
MEASURES = {"top_k": "", "count_by": "count", "sum_by": "sum", "mean_by": "mean", "share_by": "share"}
"""Tables of keys, and the name of the number beside each key; `top_k` has none."""


@dataclass(frozen=True)
class Aggregation:
    """One aggregation.

    Attributes:
        over: the key whose entries it has an output for.
        of: the kinds of field that `of:` may name; none if it takes no `of:`. Events in which that field is null have
            no part in the aggregation, whichever it is.
        of_needed: whether `of:` must be there, if it takes one.
        needs: keys that must be there.
        takes: keys that may be there.
        defaults: whether `default:` says what it is over nothing; else it is empty, or zeros.
    """

    over: Literal["windows", "half_life"] = "windows"
    of: tuple[str, ...] = ()
    of_needed: bool = True
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()
    defaults: bool = True

    @property
    def keyed(self) -> bool:
        """Whether it is by key."""
        return "by" in self.needs

    @property
    def needed(self) -> tuple[str, ...]:
        """Every key that must be there."""
        return (*(("of",) if self.of and self.of_needed else ()), self.over, *self.needs)

    @property
    def usable(self) -> tuple[str, ...]:
        """Every key that must or may be there."""
        return (*self.needed, *self.takes, *(("of",) if self.of else ()))


OF_EVENTS = Aggregation(of=ANY_FIELD, of_needed=False)
"""An aggregation of events, or with `of:` of those in which that field is not null."""
PARTS_OF_RATIO = ("count", "sum", "mean", "geometric_mean", "min", "max", "variance", "stddev", "skew", "kurtosis")
"""What a ratio may be of."""
AGGREGATIONS: dict[str, Aggregation] = {
    "count": OF_EVENTS,
    **dict.fromkeys(
        ("sum", "mean", "geometric_mean", "min", "max", "variance", "stddev", "skew", "kurtosis"),
        Aggregation(of=NUMBER),
    ),
    **dict.fromkeys(("recency", "first_seen", "gap_mean", "longest_gap"), OF_EVENTS),
    "decayed_count": replace(OF_EVENTS, over="half_life"),
    "decayed_sum": Aggregation(over="half_life", of=NUMBER),
    "histogram": Aggregation(of=NUMBER, needs=("edges",), defaults=False),
    "ratio": Aggregation(needs=("numerator", "denominator"), takes=("prior",)),
    "distinct": Aggregation(of=ANY_FIELD, takes=("cap",)),
    **dict.fromkeys(("active_days", "streak_days"), OF_EVENTS),
    **dict.fromkeys(("hour_of_day", "day_of_week"), replace(OF_EVENTS, over="half_life", defaults=False)),
    **dict.fromkeys(("last", "first"), Aggregation(of=EDGE_FIELD)),
    **dict.fromkeys(
        ("last_k", "last_distinct_k", "first_k"),
        Aggregation(of=ANY_FIELD, needs=("k",), takes=("with",), defaults=False),
    ),
    **dict.fromkeys(
        (
            "session_count",
            "session_length_mean",
            "session_events_mean",
            "current_session_length",
            "current_session_events",
        ),
        replace(OF_EVENTS, needs=("gap",)),
    ),
    "approx_distinct": Aggregation(of=ANY_FIELD, takes=("error",)),
    "approx_quantiles": Aggregation(of=NUMBER, needs=("quantiles",), takes=("error",)),
    **dict.fromkeys(("count_by", "share_by"), replace(OF_EVENTS, needs=("by",), takes=("k", "keys"), defaults=False)),
    **dict.fromkeys(("sum_by", "mean_by"), Aggregation(of=NUMBER, needs=("by",), takes=("k", "keys"), defaults=False)),
    "top_k": Aggregation(of=NUMBER, of_needed=False, needs=("by", "k"), takes=("keys", "measure"), defaults=False),
    "entropy_by": replace(OF_EVENTS, needs=("by",), takes=("keys",)),
    "decayed_count_by": replace(OF_EVENTS, over="half_life", needs=("by",), takes=("k", "keys"), defaults=False),
}
