"""What one fold adds to the histograms: how fresh, how large. One call a bundle, whichever store holds the records."""

from __future__ import annotations

import time

from transforms.metrics import Histogram
from user_state.fold_report import FoldReport
from user_state.state.event_batch import EventBatch
from user_state.state.outcome import Outcome


class FoldMetrics:
    """Make one in a DoFn's `setup`."""

    def __init__(self) -> None:
        self._since_publish = Histogram("publish_to_readable_ms")
        self._since_event = Histogram("event_to_readable_ms")
        self._size = Histogram("rows_per_fold")
        self._largest = Histogram("largest_write_bytes")

    def observe(self, batch: EventBatch, report: FoldReport) -> None:
        """Count a fold; call it as soon as what was folded can be read."""
        readable_ms = time.time_ns() // 1_000_000
        self._size.observe([len(batch)])
        if report.writes:
            self._largest.observe([report.largest_bytes])
        applied = report.outcome == Outcome.APPLIED
        self._since_event.observe(readable_ms - batch.time_us[applied] // 1000)
        self._since_publish.observe(readable_ms - batch.published_us[applied] // 1000)
