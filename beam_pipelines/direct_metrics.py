"""DirectRunner's metrics in runs of many bundles, which Beam 2.77 cannot add up.

Its FnApiRunner joins each bundle's metrics to those before by a generator over the last generator. After about a
thousand bundles of a stage, a minute of a live run, reading them recurses too deep, and all the while everything is
kept. Joining them at once keeps one list as long as there are metrics.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apache_beam.metrics import monitoring_infos
from apache_beam.runners.portability.fn_api_runner import fn_runner


def join_metrics_at_once() -> None:
    """Have the FnApiRunner of this process join metrics at once; calling it again changes nothing."""
    fn_runner.consolidate_monitoring_infos = _joined


def _joined(metrics: Iterable[Any]) -> list[Any]:
    return list(monitoring_infos.consolidate(metrics))
