"""Prometheus rules: the pipeline's metrics under names of their own, and the alerts.

Flink's reporter exports Beam's counters and gauges as `flink_taskmanager_job_task_operator_user_state_NAME`, one series
a step and subtask. Recording rules add these up for each job and turn the counters of a histogram into what
`histogram_quantile` takes, so that dashboard and alerts know nothing of Flink:

    user_state:NAME:rate           of a counter, a second; a family's members have the label `member`
    user_state:NAME_bucket:rate    of a histogram, with the label `le`; NAME_sum and NAME_count as well
    user_state:NAME:max            of a gauge, the largest of all subtasks
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from beam_pipelines.observability.alerts import ALERTS, RUNBOOK
from transforms.metrics import METRICS, NAMESPACE, Metric

EXPORTED = f"flink_taskmanager_job_task_operator_{NAMESPACE}_"
"""What Flink's reporter puts before the name of a metric of ours."""

WINDOW = "2m"
INTERVAL = "15s"
HEAD = "# Written by `make docs` from beam_pipelines/observability. Do not edit.\n"


def recording_rules(metric: Metric) -> Iterator[dict[str, Any]]:
    """Yield the rules of one metric."""

    def rate(name: str) -> str:
        return f"sum by (job_name) (rate({EXPORTED}{name}[{WINDOW}]))"

    name = metric.name
    if metric.kind == "gauge":
        yield {"record": f"user_state:{name}:max", "expr": f"max by (job_name) ({EXPORTED}{name})"}
    elif metric.kind == "histogram":
        for edge in metric.edges:
            record = {"record": f"user_state:{name}_bucket:rate", "expr": rate(f"{name}_le_{edge}")}
            yield {**record, "labels": {"le": str(edge)}}
        total = {"record": f"user_state:{name}_bucket:rate", "expr": rate(f"{name}_count")}
        yield {**total, "labels": {"le": "+Inf"}}
        for end in ("sum", "count"):
            yield {"record": f"user_state:{name}_{end}:rate", "expr": rate(f"{name}_{end}")}
    elif metric.members:
        for member in metric.members:
            record = {"record": f"user_state:{name[:-2]}_by:rate", "expr": rate(name.replace("*", member))}
            yield {**record, "labels": {"member": member}}
    else:
        yield {"record": f"user_state:{name}:rate", "expr": rate(name)}


def rules() -> dict[str, Any]:
    """Return the rule file as Prometheus reads it."""
    recorded = [rule for metric in METRICS for rule in recording_rules(metric)]
    alerts = [
        {
            "alert": alert.name,
            "expr": alert.expression,
            "for": alert.lasting,
            "labels": {"severity": alert.severity},
            "annotations": {"summary": alert.summary, "runbook": f"{RUNBOOK}#{alert.name.lower()}"},
        }
        for alert in ALERTS
    ]
    return {
        "groups": [
            {"name": "user-state-recorded", "interval": INTERVAL, "rules": recorded},
            {"name": "user-state-alerts", "interval": INTERVAL, "rules": alerts},
        ]
    }


def rules_text() -> str:
    """Return the rule file."""
    return HEAD + yaml.safe_dump(rules(), sort_keys=False, width=120)
