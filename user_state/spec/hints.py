"""What somebody who wrote a wrong word or value probably meant, as the end of a message.

Other systems have other names for what a spec says: those are known here, whether or not they are spelt alike.
Nothing here decides what is accepted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from zoneinfo import available_timezones

from user_state.spec.problems import did_you_mean, nearest

BY_SEVERAL = "`count_by` with two fields, such as `by: [action, surface]`"
AGGREGATIONS_ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(("cross", "cross_count", "crosses", "count_cross"), BY_SEVERAL),
    **dict.fromkeys(("avg", "average"), "`mean`"),
    **dict.fromkeys(("std", "sd", "stdev", "std_dev", "stddev_pop", "stddev_samp"), "`stddev`"),
    **dict.fromkeys(("var", "var_pop", "var_samp"), "`variance`"),
    **dict.fromkeys(("maximum", "minimum"), "`max` or `min`"),
    **dict.fromkeys(
        ("count_distinct", "distinct_count", "nunique", "unique", "unique_count", "cardinality"),
        "`distinct`, exact up to a cap, or `approx_distinct`",
    ),
    **dict.fromkeys(
        ("hll", "hyperloglog", "approx_count_distinct", "approx_unique_count", "approx_count"), "`approx_distinct`"
    ),
    **dict.fromkeys(
        ("percentile", "percentiles", "approx_percentile", "approx_percentiles", "quantile", "quantiles", "median"),
        "`approx_quantiles` with `quantiles:`",
    ),
    **dict.fromkeys(("ewma", "ema", "decayed_mean", "decayed_average"), "`decayed_sum` beside `decayed_count`"),
    **dict.fromkeys(("geomean", "gmean", "geo_mean"), "`geometric_mean`"),
    **dict.fromkeys(("max_gap", "longest_pause", "longest_break", "gap_max"), "`longest_gap`"),
    "decayed_sum_by": "`decayed_count_by`, or `sum_by` over windows",
    **dict.fromkeys(("ctr", "rate", "click_through"), "`ratio` with `numerator:` and `denominator:`"),
    **dict.fromkeys(("last_n", "latest_k", "history"), "`last_k`"),
    **dict.fromkeys(("unique_k", "last_unique_k"), "`last_distinct_k`"),
    **dict.fromkeys(("latest", "newest"), "`last`"),
    **dict.fromkeys(("sessions", "session"), "`session_count`, `session_length_mean` or `session_events_mean`"),
    **dict.fromkeys(("heavy_hitters", "most_frequent", "mode"), "`top_k`"),
    **dict.fromkeys(("group_count", "value_counts", "counts"), "`count_by`"),
    **dict.fromkeys(("time_since", "time_since_last", "age"), "`recency`"),
    **dict.fromkeys(("bucketed_count", "buckets"), "`histogram` with `edges:`"),
}
"""Names of aggregations that are called otherwise here, and what they are called."""

KEYS_ELSEWHERE: dict[str, str] = {
    **dict.fromkeys(("field", "column", "on", "input"), "of"),
    **dict.fromkeys(("group_by", "groupby", "per", "dimension"), "by"),
    **dict.fromkeys(("filter", "filters", "condition", "when"), "where"),
    **dict.fromkeys(("bins", "buckets", "boundaries", "bounds"), "edges"),
    **dict.fromkeys(("percentiles", "ranks", "q"), "quantiles"),
    **dict.fromkeys(("inactivity", "timeout", "session_gap"), "gap"),
    **dict.fromkeys(("smoothing",), "prior"),
    **dict.fromkeys(("decay", "halflives"), "half_life"),
    **dict.fromkeys(("function", "operation", "agg"), "aggregate"),
    **dict.fromkeys(("n", "limit", "length", "size", "max_length", "k", "cap"), "last"),
    **dict.fromkeys(("n", "top"), "k"),
    **dict.fromkeys(("max_age", "age_limit", "ttl", "windows", "window"), "within"),
    **dict.fromkeys(("columns", "features"), "fields"),
    **dict.fromkeys(("strength",), "weight"),
    **dict.fromkeys(("mean", "ratio"), "rate"),
    **dict.fromkeys(("dim", "dims", "d"), "dimensions"),
    **dict.fromkeys(("precision", "dtype", "encoding"), "storage"),
    **dict.fromkeys(("format", "body", "wire_format", "framing"), "encoding"),
    **dict.fromkeys(("schema_registry", "registry_url", "schema_registry_url", "schemas"), "registry"),
    **dict.fromkeys(("tz", "zone"), "timezone"),
    **dict.fromkeys(("lateness", "watermark"), "allowed_lateness"),
    **dict.fromkeys(("ttl", "expiry"), "retention"),
    **dict.fromkeys(("max_size", "max_bytes", "max_record_size", "max_record_bytes", "record_limit"), "max_record"),
}
"""Keys that are called otherwise here; where the first does not fit, the second may."""

_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), "s"),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), "m"),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), "h"),
    **dict.fromkeys(("d", "day", "days"), "d"),
}
_DURATION = re.compile(r"([1-9][0-9]{0,5}) *([a-z]+)", re.IGNORECASE)
_SIZE = re.compile(r"([1-9][0-9]{0,9}) *(b|bytes?|[km](?:i?b)?)", re.IGNORECASE)
_WEEKS = ("w", "week", "weeks")


def key_meant(key: str, accepted: Iterable[str]) -> str | None:
    """Return the accepted key that `key` most likely stands for, or None.

    >>> key_meant("group_by", ["of", "by"]), key_meant("widows", ["windows"])
    ('by', 'windows')
    """
    keys = list(accepted)
    elsewhere = KEYS_ELSEWHERE.get(key.casefold())
    return elsewhere if elsewhere in keys else nearest(key, keys)


def aggregation_meant(name: Any, accepted: Iterable[str]) -> str:
    """Return which aggregation was meant, to append to a message, or nothing.

    >>> aggregation_meant("avg", ["count", "mean"]), aggregation_meant("cout", ["count", "mean"])
    ('; did you mean `mean`?', '; did you mean `count`?')
    """
    if not isinstance(name, str):
        return ""
    elsewhere = AGGREGATIONS_ELSEWHERE.get(name.casefold())
    return did_you_mean(name, accepted) if elsewhere is None else f"; did you mean {elsewhere}?"


def encoding_meant(name: Any, accepted: Iterable[str]) -> str:
    """Return which encoding of bodies was meant, to append to a message, or nothing.

    >>> encoding_meant("ocf", ["container"]), encoding_meant("jsn", ["json"]), encoding_meant("protobuf", ["json"])
    ('; did you mean `container`?', '; did you mean `json`?', '')
    """
    if not isinstance(name, str):
        return ""
    word = name.casefold().replace("-", "_").replace(" ", "_")
    return did_you_mean(_ENCODINGS.get(word, word), accepted)


_ENCODINGS = {
    **dict.fromkeys(("avro", "binary", "bare", "avro_binary", "datum"), "raw"),
    **dict.fromkeys(("ocf", "avro_file", "object_container", "file"), "container"),
    **dict.fromkeys(("schema_registry", "confluent_avro", "wire_format", "registry", "apicurio"), "confluent"),
    **dict.fromkeys(("avro_json", "json_schema", "text"), "json"),
    **dict.fromkeys(("fingerprint", "single", "avro_single_object"), "single_object"),
}
"""Names of encodings elsewhere, and what they are called here."""


def duration_meant(value: Any) -> str:
    """Return how a duration that was written otherwise is written here, to append to a message, or nothing.

    >>> duration_meant("30 minutes"), duration_meant("2w"), duration_meant("soon")
    ('; did you mean `30m`?', '; did you mean `14d`?', '')
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return f"; a number needs a unit, such as {value}s or {value}m"
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return ""
    number, unit = int(found[1]), found[2].casefold()
    written = f"{7 * number}d" if unit in _WEEKS else f"{number}{_UNITS[unit]}" if unit in _UNITS else ""
    return f"; did you mean `{written}`?" if written and written != value else ""


def size_meant(value: Any) -> str:
    """Return how a size that was written otherwise is written here, to append to a message, or nothing.

    >>> size_meant("1 MiB"), size_meant(65536), size_meant("large")
    ('; did you mean `1MB`?', '; a number needs a unit, such as 65536B', '')
    """
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return f"; a number needs a unit, such as {value}B"
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        return ""
    unit = found[2][0].upper()
    written = f"{found[1]}B" if unit == "B" else f"{found[1]}{unit}B"
    return f"; did you mean `{written}`?" if written != value else ""


def zone_meant(value: Any) -> str:
    """Return the time zone that was meant, to append to a message, or nothing.

    >>> zone_meant("Europe/Berln")
    '; did you mean `Europe/Berlin`?'
    """
    return did_you_mean(value, available_timezones())


def share_meant(value: Any) -> str:
    """Return the share that a percentage stands for, to append to a message, or nothing.

    >>> share_meant(95), share_meant("1%")
    ('; 95 % is 0.95', '; 1 % is 0.01')
    """
    found = re.fullmatch(r"p?([0-9]{1,2}(?:\.[0-9]+)?) *%?", value.strip()) if isinstance(value, str) else None
    if found is not None and value.strip() != found[1]:
        value = float(found[1])
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value < 100:
        return ""
    return f"; {value:g} % is {value / 100:g}"


_OPERATORS = {
    **dict.fromkeys(("gt", "$gt", "above", "over", "after", "greater", "greater_than"), ">"),
    **dict.fromkeys(("gte", "ge", "$gte", "=>", "min", "at_least", "from", "since"), ">="),
    **dict.fromkeys(("lt", "$lt", "below", "under", "before", "less", "less_than"), "<"),
    **dict.fromkeys(("lte", "le", "$lte", "=<", "max", "at_most", "to", "until"), "<="),
    **dict.fromkeys(("ne", "neq", "$ne", "!=", "<>", "!", "not_in", "nin", "$nin", "is_not", "exclude"), "not"),
    **dict.fromkeys(("has", "include", "includes", "any_of", "contains_any"), "contains"),
    **dict.fromkeys(("not_null", "$exists", "present", "is_not_null"), "exists: true"),
    **dict.fromkeys(("null", "is_null", "missing", "isnull"), "exists: false"),
    **dict.fromkeys(("eq", "$eq", "=", "==", "in", "$in", "equals", "one_of"), "is"),
}
"""Words of filters elsewhere, and what they are called here."""


def operator_meant(word: str) -> str:
    """Return which word of a filter was meant, to append to a message, or nothing.

    >>> operator_meant("gte"), operator_meant("between"), operator_meant("exist")
    ('; did you mean `">="`?', '; write `{">=": 1, "<=": 9}`', '; did you mean `exists`?')
    """
    if word.casefold() in ("between", "range"):
        return '; write `{">=": 1, "<=": 9}`'
    meant = _OPERATORS.get(word.casefold())
    if meant is not None:
        return f"; did you mean `{_quoted(meant)}`?"
    return did_you_mean(word, ("not", "exists", "contains", "is"))


def operator_in_text(text: str) -> str | None:
    """Return what a text that looks like a condition would be as a filter, None if it does not look like one.

    >>> operator_in_text("!= US"), operator_in_text(">5"), operator_in_text("a > 5"), operator_in_text("<unknown>")
    ('{not: US}', '{">": 5}', None, None)
    """
    found = _OPERATOR_IN_TEXT.fullmatch(text.strip())
    if found is None or (text.strip().startswith("<") and text.strip().endswith(">") and len(text.strip()) > 2):
        return None
    operator, rest = found[1], found[2] or "..."
    if operator in ("==", "=", "=~", "~"):
        return rest if operator in ("==", "=") else "the values themselves; patterns are not matched"
    word = {"!=": "not", "<>": "not", "!": "not", "!~": "not", "=>": ">=", "=<": "<="}.get(operator, operator)
    return f"{{{_quoted(word)}: {rest}}}"


_OPERATOR_IN_TEXT = re.compile(r"(!=|<>|!~|=~|==|<=|>=|=<|=>|<|>|=|!|~)\s*(.*)", re.DOTALL)


def _quoted(word: str) -> str:
    """Return a word as YAML wants it."""
    return f'"{word}"' if word[0] in "<>" else word


HINTS: Mapping[str, str] = {
    "of": "; it is one field: `with:` lists others beside it, `by:` counts by several",
}
"""What to say of a list where one value is expected, by key."""
