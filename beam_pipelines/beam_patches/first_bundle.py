"""A Beam worker that reports its first bundle.

A TaskManager that was told that its worker is connected waits for it to show itself. If the worker is killed before
that, Beam's TaskManager waits for good, so our worker pool starts another under the same name. To know whether it
must, the pool needs to hear when a worker is given its first bundle, which Beam's worker tells nobody.

Written for: Beam 2.77.
Replaces: nothing; extends `sdk_worker.SdkHarness` and its method `_request_process_bundle`.
Issue of Beam's: none filed that we know of.
To drop it: delete this file, and what `beam_pipelines/flink/worker_pool.py` does with `WORKING`; a worker that is
killed before its first bundle then leaves its job waiting.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from apache_beam.runners.worker.sdk_worker import SdkHarness


class ReportingHarness(SdkHarness):
    """Beam's worker, which reports its first bundle.

    Args:
        report: called once, when a bundle is given to the worker.
        args, kwargs: as Beam has them.
    """

    def __init__(self, report: Callable[[], None], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._report: Callable[[], None] | None = report

    def _request_process_bundle(self, request: Any) -> None:
        if self._report is not None:
            self._report()
            self._report = None
        super()._request_process_bundle(request)
