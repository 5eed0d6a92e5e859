"""The aggregations a feature can name: which keys each needs or takes beside `aggregate:`, `where:` and `default:`.

The model's rules, the field checks, the names of outputs and the documentation's completeness are all read from this
table, so that an aggregation is declared in one place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NUMBER = ("float", "int")
ANY_FIELD = ("string", "float", "int", "bool")


@dataclass(frozen=True)
class Aggregation:
    """One aggregation.

    Attributes:
        over: the key whose entries it has an output for.
        of: the kinds of field that `of:` may name; none if it takes no `of:`.
        needs: keys that must be there.
        takes: keys that may be there.
    """

    over: Literal["windows", "half_life"] = "windows"
    of: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()

    @property
    def needed(self) -> tuple[str, ...]:
        """Every key that must be there."""
        return (*(("of",) if self.of else ()), self.over, *self.needs)


PARTS_OF_RATIO = ("count", "sum", "mean", "min", "max", "variance", "stddev", "skew", "kurtosis")
"""What a ratio may be of."""
AGGREGATIONS: dict[str, Aggregation] = {
    "count": Aggregation(),
    **dict.fromkeys(
        ("sum", "mean", "min", "max", "variance", "stddev", "skew", "kurtosis"),
        Aggregation(of=NUMBER),
    ),
    **dict.fromkeys(("recency", "first_seen", "gap_mean"), Aggregation()),
    "decayed_count": Aggregation(over="half_life"),
    "decayed_sum": Aggregation(over="half_life", of=NUMBER),
    "histogram": Aggregation(of=NUMBER, needs=("edges",)),
    "ratio": Aggregation(needs=("numerator", "denominator"), takes=("prior",)),
    "distinct": Aggregation(of=ANY_FIELD, takes=("cap",)),
    **dict.fromkeys(("active_days", "streak_days"), Aggregation()),
    **dict.fromkeys(("hour_of_day", "day_of_week"), Aggregation(over="half_life")),
    **dict.fromkeys(("last", "first"), Aggregation(of=("float", "int", "bool"))),
    **dict.fromkeys(("last_k", "last_distinct_k", "first_k"), Aggregation(of=ANY_FIELD, needs=("k",), takes=("with",))),
    **dict.fromkeys(
        (
            "session_count",
            "session_length_mean",
            "session_events_mean",
            "current_session_length",
            "current_session_events",
        ),
        Aggregation(needs=("gap",)),
    ),
    "approx_distinct": Aggregation(of=ANY_FIELD, takes=("error",)),
    "approx_quantiles": Aggregation(of=NUMBER, needs=("quantiles",), takes=("error",)),
}
