"""docs/metrics.md, from the list of metrics and the list of alerts."""

from __future__ import annotations

from beam_pipelines.observability.alerts import ALERTS
from beam_pipelines.observability.prometheus import EXPORTED
from transforms.metrics import METRICS

HEAD = f"""\
# Metrics

Written by `make docs` from `transforms/metrics.py` and `beam_pipelines/observability`. [runbook.md](runbook.md) says
what to do about each alert.

Every metric is a Beam metric in the namespace `user_state`, touched once a bundle. Runners export them as they are:

- **Flink**, with its Prometheus reporter: counters and gauges as `{EXPORTED}NAME`, one series a step and subtask
  (labels `job_name`, `operator_name`, `subtask_index`). `deploy/observability/prometheus/rules.yaml` adds these up as
  `user_state:NAME:rate`; `deploy/observability/grafana/user-state.json` shows them. A test scrapes a real cluster for
  these names. The reporter says 0 for Beam's distributions.
- **Dataflow**: counters and distributions in Cloud Monitoring as `dataflow.googleapis.com/job/user_counter` with the
  label `metric_name`; gauges are not exported there, the backlog is Pub/Sub's own
  `subscription/oldest_unacked_message_age`. Not tried here.
- **DirectRunner**: `user-state run` prints the bins.

A **histogram** is counters, so that each of these can carry it: `NAME_le_EDGE` counts values up to EDGE, those up to
smaller edges included, `NAME_count` and `NAME_sum` all of them. Beam's distribution NAME has each bundle's largest.

## The list

| name | kind | unit | counted in | meaning |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    lines = [HEAD]
    for metric in METRICS:
        meaning = metric.meaning
        if metric.edges:
            meaning += f" Edges: {', '.join(f'{edge:,}' for edge in metric.edges)}."
        if metric.members:
            meaning += f" `*` is one of {', '.join(f'`{member}`' for member in metric.members)}."
        lines.append(f"| `{metric.name}` | {metric.kind} | {metric.unit} | {metric.step} | {meaning} |\n")
    lines.append("\n## Alerts\n\n| alert | severity | lasting | when |\n|---|---|---|---|\n")
    for alert in ALERTS:
        link = f"[{alert.name}](runbook.md#{alert.name.lower()})"
        lines.append(f"| {link} | {alert.severity} | {alert.lasting} | {alert.summary} |\n")
    return "".join(lines)
