"""The Grafana dashboard, from a list of rows and panels over the names that `prometheus` records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from transforms.metrics import BY_NAME

JOB = '{job_name=~"$job"}'
WIDTH, HEIGHT = 8, 8
COLUMNS = 24


class Panel(NamedTuple):
    """One graph: title, unit as Grafana names it, (expression, legend) each line, which metric explains it."""

    title: str
    unit: str
    lines: Sequence[tuple[str, str]]
    about: str
    stacked: bool = False


def _rate(*names: str) -> list[tuple[str, str]]:
    return [(f"sum(user_state:{name}:rate{JOB})", name) for name in names]


def _quantiles(name: str) -> list[tuple[str, str]]:
    return [
        (f"histogram_quantile({q / 100}, sum by (le) (user_state:{name}_bucket:rate{JOB}))", f"p{q}")
        for q in (50, 95, 99)
    ]


def _mean(name: str) -> tuple[str, str]:
    return f"sum(user_state:{name}_sum:rate{JOB}) / sum(user_state:{name}_count:rate{JOB})", "mean"


def _share(of: str, to: str) -> tuple[str, str]:
    return f"sum(user_state:{of}:rate{JOB}) / sum(user_state:{to}:rate{JOB})", f"{of} / {to}"


def _largest(name: str) -> list[tuple[str, str]]:
    return [(f"max(user_state:{name}:max{JOB})", name)]


ROWS = (
    (
        "Is it keeping up, and how fresh is it?",
        (
            Panel("Publish to readable", "ms", _quantiles("publish_to_readable_ms"), "publish_to_readable_ms"),
            Panel("Event to readable", "ms", _quantiles("event_to_readable_ms"), "event_to_readable_ms"),
            Panel("Backlog in time", "ms", _largest("source_lag_ms"), "source_lag_ms"),
        ),
    ),
    (
        "Where does every message go?",
        (
            Panel("Read", "cps", _rate("read"), "read"),
            Panel("Bins", "cps", _rate("applied", "duplicate", "ignored", "expired", "dead_letter"), "applied", True),
            Panel(
                "Dead letters by reason",
                "cps",
                [(f"sum by (member) (user_state:dead_letter_by:rate{JOB})", "{{member}}")],
                "dead_letter_*",
                True,
            ),
            Panel(
                "Expired, by the retention that it takes to keep them",
                "cps",
                [(f"sum by (member) (user_state:expired_needing_by:rate{JOB})", "{{member}}")],
                "expired_needing_*",
                True,
            ),
            Panel("Given back", "cps", _rate("given_back", "dead_letters_unavailable"), "given_back"),
            Panel(
                "Duplicates",
                "percentunit",
                [_share("duplicate", "read"), _share("redelivered", "read")],
                "duplicate",
            ),
            Panel("Pulled ahead", "short", _largest("pulled_ahead"), "pulled_ahead"),
            Panel("Acknowledgements that failed", "cps", _rate("unacknowledged"), "unacknowledged"),
        ),
    ),
    (
        "What is written?",
        (
            Panel("Writes an event", "short", [_share("writes", "applied")], "writes"),
            Panel("Bundle size", "short", [*_quantiles("rows_per_fold"), _mean("rows_per_fold")], "rows_per_fold"),
            Panel("Bytes a write", "bytes", [_share("bytes_written", "writes")], "bytes_written"),
            Panel("Largest write of a fold", "bytes", _quantiles("largest_write_bytes"), "largest_write_bytes"),
            Panel("Conflicts", "percentunit", [_share("conflicts", "writes")], "conflicts"),
            Panel("Horizons shortened", "cps", _rate("horizon_shortened"), "horizon_shortened"),
            Panel(
                "Lost by Redis",
                "cps",
                _rate("records_lost", "ids_lost", "redis_went_back"),
                "records_lost",
            ),
            Panel("State runner: refused, expired", "cps", _rate("stale_views", "users_expired"), "stale_views"),
        ),
    ),
    (
        "What is learned of items?",
        (
            Panel("Pairs", "cps", _rate("learned_pairs", "learned_pairs_again"), "learned_pairs"),
            Panel("Pairs refused", "cps", _rate("learned_pairs_refused"), "learned_pairs_refused"),
            Panel("Conflicts of items", "percentunit", [_share("item_conflicts", "item_writes")], "item_conflicts"),
        ),
    ),
    (
        "How is Redis?",
        (
            Panel("Read", "ms", [*_quantiles("redis_read_ms"), _mean("redis_read_ms")], "redis_read_ms"),
            Panel("Replace", "ms", [*_quantiles("redis_replace_ms"), _mean("redis_replace_ms")], "redis_replace_ms"),
            Panel("Unavailable", "cps", _rate("store_unavailable"), "store_unavailable"),
            Panel("Schema registry unavailable", "cps", _rate("registry_unavailable"), "registry_unavailable"),
            Panel("Lost data", "cps", _rate("redis_went_back", "records_lost", "ids_lost"), "redis_went_back"),
        ),
    ),
)


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana reads it."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        panels.append({"type": "row", "id": len(panels) + 1, "title": title, "collapsed": False, "gridPos": place})
        y += 1
        for number, panel in enumerate(row):
            x = number * WIDTH % COLUMNS
            top = y + number * WIDTH // COLUMNS * HEIGHT
            panels.append(_panel(len(panels) + 1, panel, {"x": x, "y": top, "w": WIDTH, "h": HEIGHT}))
        y += -(-len(row) * WIDTH // COLUMNS) * HEIGHT
    source = {"type": "prometheus", "uid": "${source}"}
    return {
        "uid": "user-state",
        "title": "user-state",
        "tags": ["user-state"],
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                {
                    "name": "job",
                    "label": "Job",
                    "type": "query",
                    "datasource": source,
                    "query": "label_values(user_state:read:rate, job_name)",
                    "refresh": 2,
                    "includeAll": True,
                    "multi": True,
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": panels,
    }


def _panel(number: int, panel: Panel, place: dict[str, int]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${source}"}
    custom: dict[str, Any] = {"fillOpacity": 30 if panel.stacked else 0, "showPoints": "never"}
    if panel.stacked:
        custom["stacking"] = {"mode": "normal"}
    return {
        "type": "timeseries",
        "id": number,
        "title": panel.title,
        "description": BY_NAME[panel.about].meaning,
        "gridPos": place,
        "datasource": source,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0, "custom": custom}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": source, "expr": expression, "legendFormat": legend}
            for n, (expression, legend) in enumerate(panel.lines)
        ],
    }


def dashboard_text() -> str:
    """Return the dashboard's file."""
    return json.dumps(dashboard(), indent=1) + "\n"
