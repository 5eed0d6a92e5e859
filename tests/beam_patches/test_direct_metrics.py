"""Metrics of a live run on DirectRunner, which has a bundle every few milliseconds."""

from __future__ import annotations

from itertools import chain
from typing import Any

from apache_beam.metrics import monitoring_infos
from apache_beam.runners.portability.fn_api_runner import fn_runner

from beam_pipelines.beam_patches.versions import put_in_place

BUNDLES = 3_000


def test_the_metrics_of_thousands_of_bundles_add_up() -> None:
    put_in_place("direct_metrics")
    infos: Any = []
    for _ in range(BUNDLES):  # as FnApiRunner does after each bundle
        bundle = [
            monitoring_infos.int64_user_counter("user_state", name, by, ptransform="Fold")
            for name, by in (("applied", 1), ("read", 2))
        ]
        infos = fn_runner.consolidate_monitoring_infos(chain(bundle, infos))
    held = {info.labels["NAME"]: monitoring_infos.extract_counter_value(info) for info in infos}
    assert held == {"applied": BUNDLES, "read": 2 * BUNDLES}
