"""One Beam worker process, as `worker_pool` starts it: `python -m beam_pipelines.flink.worker CONTROL ID CACHE_BYTES`.

It ends when the TaskManager does, or on SIGTERM, and gives back to Pub/Sub what it has pulled and not yet passed on.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import Any

import transforms  # noqa: F401 - before Beam, whose complaints it leaves out
from apache_beam.runners.worker.sdk_worker import SdkHarness

from transforms.pubsub_puller import halt_all

GIVE_BACK_S = 2.0


def main() -> None:
    """Work until the TaskManager closes the control stream, or the pool says stop."""
    control_address, worker_id, cache_bytes = sys.argv[1:4]
    logging.basicConfig(
        level=logging.WARNING, format=f"%(asctime)s worker {worker_id} {os.getpid()} %(levelname)s %(message)s"
    )
    signal.signal(signal.SIGTERM, _stop)
    code = 0
    try:
        SdkHarness(
            control_address, worker_id=worker_id, state_cache_size=int(cache_bytes), data_buffer_time_limit_ms=-1
        ).run()
    except SystemExit:
        pass
    except Exception as exc:  # the stream breaks when a TaskManager is killed: said in one line
        logging.getLogger(__name__).warning("the TaskManager is gone: %s", str(exc).split("\n", maxsplit=1)[0])
        code = 1
    halt_all(GIVE_BACK_S)
    # Not sys.exit: threads of a bundle that waits for the lost TaskManager, or for Redis, would keep the process.
    os._exit(code)


def _stop(number: int, frame: Any) -> None:
    raise SystemExit


if __name__ == "__main__":
    main()
