"""Loopback ports for servers that tests start."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LOWEST_PORT = 10_000
_choose = random.SystemRandom()  # Hypothesis seeds the common one alike in every test process


def free_port(*, with_cluster_bus: bool = False, run: int = 1) -> int:
    """Return the first of `run` loopback ports in a row that nobody listens on.

    They lie below the ports that the kernel hands out by itself: of those, another process's outgoing connection may
    take one in the seconds that a JVM needs before it listens. A cluster node also needs the port 10,000 above.
    """
    highest = _first_ephemeral_port() - (10_000 if with_cluster_bus else 0) - run
    while True:
        first = _choose.randint(LOWEST_PORT, highest)
        if all(_is_free(port) for port in range(first, first + run)):
            return first


def _first_ephemeral_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except OSError:
        return 32_768  # not Linux


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
