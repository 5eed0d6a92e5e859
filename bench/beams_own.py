"""Beam's own ReadFromPubSub on DirectRunner, which falls back to its old engine for it: messages a second, printed.

python -m bench.beams_own SUBSCRIPTION MESSAGES
"""

from __future__ import annotations

import logging
import os
import sys
import time

import apache_beam as beam
from apache_beam.io.gcp.pubsub import ReadFromPubSub
from apache_beam.options.pipeline_options import PipelineOptions

GIVE_UP_S = 60.0
SEEN: list[float] = []


class _CountFn(beam.DoFn):
    """Notes when each message came, and ends the process when it has seen enough."""

    def __init__(self, messages: int) -> None:
        self._messages = messages
        self._began = time.monotonic()

    def process(self, body: bytes) -> None:
        SEEN.append(time.monotonic())
        if len(SEEN) >= self._messages or SEEN[-1] - SEEN[0] > GIVE_UP_S:
            print(len(SEEN) / (SEEN[-1] - SEEN[0]), flush=True)
            os._exit(0)  # a pipeline that cannot drain


def main() -> None:
    """Read."""
    logging.getLogger().setLevel(logging.ERROR)
    pipeline = beam.Pipeline(options=PipelineOptions(["--streaming", "--runner=DirectRunner"]))
    bodies = pipeline | "Read" >> ReadFromPubSub(subscription=sys.argv[1])
    bodies | "Count" >> beam.ParDo(_CountFn(int(sys.argv[2])))
    pipeline.run().wait_until_finish()


if __name__ == "__main__":
    from bench.beams_own import main as named_main

    named_main()
