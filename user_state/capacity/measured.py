"""What things cost, as far as it was measured, and what was derived or assumed: `constants.yaml`, or measured here.

Processor time, not elapsed time, so that a busy machine measures the same. What is per event or byte scales with the
spec: `user-state plan --measure` takes it from the spec itself on this machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from user_state.errors import InputError

CONSTANTS = Path(__file__).parent / "constants.yaml"


@dataclass(frozen=True)
class Constants:
    """Costs of one event, write or byte; each is explained in constants.yaml.

    Attributes:
        pipeline_us_an_event: processor time of Python to pull, decode, pack and acknowledge an event, us.
        fold_us_an_event: and to fold it into its user's record, us.
        write_us: and to read and write a user, whatever the size, client of Redis included, us.
        write_us_a_kb: and beside that for each 1,000 bytes of the record and the ids, us.
        flink_us_an_event: processor time of a TaskManager's JVM an event, us.
        redis_us: processor time of Redis to read and to replace one user, whatever the size, us.
        redis_us_a_kb: and beside that for each 1,000 bytes, us.
        request_bytes: on the wire beside the values, to read and to replace one user.
        worker_mb: resident memory of a Python worker, cache included.
        taskmanager_mb: memory of a TaskManager a slot.
        busy: share of a processor that may be used at the peak.
        memory_full: share of Redis's memory that may be used.
        shuffle_factor: bytes between source and fold, as a multiple of an event's.
    """

    pipeline_us_an_event: float
    fold_us_an_event: float
    write_us: float
    write_us_a_kb: float
    flink_us_an_event: float
    redis_us: float
    redis_us_a_kb: float
    request_bytes: float
    worker_mb: float
    taskmanager_mb: float
    busy: float
    memory_full: float
    shuffle_factor: float


HOW = ("measured", "derived", "assumed")
"""How a constant may have been come by; constants.yaml says what each means."""


def load_constants(path: Path = CONSTANTS) -> tuple[Constants, dict[str, dict[str, Any]]]:
    """Return the constants, and for each its entry: value, unit, how (one of HOW), source."""
    entries: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["constants"]
    return Constants(**{name: float(entry["value"]) for name, entry in entries.items()}), entries


PRICES = {
    "redis_gb_hour": "one GB of Redis memory for an hour, without replicas",
    "flink_vcpu_hour": "one virtual processor of a machine for Flink and its workers for an hour",
    "flink_gb_hour": "one GB of memory of such a machine for an hour",
    "dataflow_vcpu_hour": "one virtual processor of a streaming Dataflow worker for an hour",
    "dataflow_gb_hour": "one GB of memory of such a worker for an hour",
    "dataflow_streaming_gb": "one GB of data through Streaming Engine",
    "pubsub_gb": "one GB published or delivered",
    "network_gb": "one GB between workers and Redis",
}
SIZES = {
    "redis_node_gb": "memory of one Redis node",
    "redis_node_gbit": "network of one Redis node, Gbit/s",
    "worker_vcpu": "virtual processors of one worker machine",
    "worker_gb": "memory of one worker machine",
}


@dataclass(frozen=True)
class Prices:
    """A price file: PRICES in one currency, SIZES of what is bought, and when they were looked up."""

    date: str
    currency: str
    price: Mapping[str, float]
    size: Mapping[str, float]


EXAMPLE_PRICES = Path(__file__).parent / "prices.yaml"
"""Round figures, and no vendor's: to be copied."""


def load_prices(path: Path) -> Prices:
    """Return a price file.

    Raises:
        InputError: it cannot be read, or lacks something, or something in it makes no sense.
    """
    try:
        found = yaml.safe_load(path.read_text())
    except (OSError, ValueError, yaml.YAMLError) as exc:
        reason = str(exc).strip().replace("\n", " ")
        raise InputError(f"expected a price file at {path}: {reason}") from exc
    if not isinstance(found, dict):
        raise InputError(f"expected a price file with keys at {path}, got {type(found).__name__}")
    needed = {"date", "currency", *PRICES, *SIZES}
    if found.keys() != needed:
        missing, strange = sorted(needed - found.keys()), sorted(map(str, found.keys() - needed))
        raise InputError(f"expected the keys of {EXAMPLE_PRICES} in {path}: missing {missing}, not known {strange}")
    for name in (*PRICES, *SIZES):
        value = found[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0 or (name in SIZES and value == 0):
            raise InputError(f"expected {name} in {path} to be a number above zero, got {value!r}")
    return Prices(
        str(found["date"]),
        str(found["currency"]),
        {name: float(found[name]) for name in PRICES},
        {name: float(found[name]) for name in SIZES},
    )
