"""Metrics of a run on DirectRunner that has more than a thousand bundles.

Beam's FnApiRunner joins each bundle's metrics to those before by a generator over the last generator. After about a
thousand bundles of a stage, a minute of a live run, reading them recurses too deep, and all the while everything is
kept. Joined at once, they are one list, as long as there are metrics.

Written for: Beam 2.77.
Replaces: `fn_runner.consolidate_monitoring_infos`.
Issue of Beam's: none filed that we know of.
To drop it: once `tests/beam_patches/test_direct_metrics.py` passes without `put_in_place`, delete this file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apache_beam.metrics import monitoring_infos
from apache_beam.runners.portability.fn_api_runner import fn_runner


def put_in_place() -> None:
    """Have the FnApiRunner of this process join metrics at once."""
    fn_runner.consolidate_monitoring_infos = _joined


def _joined(metrics: Iterable[Any]) -> list[Any]:
    return list(monitoring_infos.consolidate(metrics))
