"""From a demand, costs and sizes to machines and money: arithmetic alone, each line of it in docs/capacity.md."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from user_state.capacity.demand import Demand
from user_state.capacity.measured import Constants, Prices
from user_state.costs import Cost

HOURS = 730
"""In a month."""

GB = 1e9


@dataclass(frozen=True)
class Need:
    """What a demand needs; rates are those of the peak.

    Attributes:
        record_bytes: the mean user's record in Redis, key included.
        seen_bytes: the remembered ids, likewise.
        redis_gb: memory of all primaries, with room to spare.
        writes_a_second: records replaced.
        read_gbit: from Redis to the workers, Gbit/s, no record cached.
        written_gbit: from the workers to Redis, Gbit/s.
        redis_cores: processors of Redis, which computes on one a node.
        nodes_by: Redis primaries, by what asks for so many: memory, processor, network.
        beam_state_gb: what the runner holds: events that are held back, or with `--state runner` all records.
        flink_slots: task slots, with one Python process each.
        flink_machines: worker machines for those.
        dataflow_vcpu: virtual processors of Dataflow workers.
        dataflow_machines: such workers.
    """

    record_bytes: float
    seen_bytes: float
    redis_gb: float
    writes_a_second: float
    read_gbit: float
    written_gbit: float
    redis_cores: float
    nodes_by: dict[str, int]
    beam_state_gb: float
    flink_slots: int
    flink_machines: int
    dataflow_vcpu: int
    dataflow_machines: int

    @property
    def redis_nodes(self) -> int:
        """How many primaries."""
        return max(self.nodes_by.values())

    @property
    def breaks_first(self) -> str:
        """What asks for the most Redis nodes, and so is the first to be short as the demand grows."""
        return max(self.nodes_by, key=lambda name: self.nodes_by[name])


def need(
    demand: Demand, user: Cost, costs: Constants, prices: Prices, *, state: str = "redis", held_back: bool = False
) -> Need:
    """Return what a demand needs.

    Args:
        demand: what is asked.
        user: bytes of the mean user.
        costs: of an event, a write, a byte.
        prices: for the sizes of machines.
        state: `redis` or `runner`, as `user-state run --state`.
        held_back: whether events wait in the runner for `write_interval_s`.
    """
    rate = demand.events_per_second
    writes = rate * demand.writes_an_event
    values = user.record + user.seen
    moved_gbit = writes * (values + costs.request_bytes / 2) * 8 / 1e9
    memory_gb = demand.users * (user.record_in_redis + user.seen_in_redis) / GB / costs.memory_full
    redis_us = costs.redis_us + costs.redis_us_a_kb * values / 1e3
    redis_cores = writes * redis_us / 1e6 / costs.busy
    nodes_by = {
        "memory": math.ceil(memory_gb / prices.size["redis_node_gb"]),
        "processor": math.ceil(redis_cores),
        "network": math.ceil(moved_gbit / costs.busy / prices.size["redis_node_gbit"]),
    }
    held_gb = rate * demand.write_interval_s * demand.event_bytes * costs.shuffle_factor / GB if held_back else 0.0
    if state == "runner":
        held_gb += demand.users * values / GB
    write_us = costs.write_us + costs.write_us_a_kb * values / 1e3
    python_us = rate * (costs.pipeline_us_an_event + costs.fold_us_an_event) + writes * write_us
    python_cores = python_us / 1e6 / costs.busy
    flink_cores = python_cores + rate * costs.flink_us_an_event / 1e6 / costs.busy
    slots = math.ceil(python_cores)
    memory_a_slot_gb = (costs.worker_mb + costs.taskmanager_mb) / 1e3
    return Need(
        record_bytes=user.record_in_redis,
        seen_bytes=user.seen_in_redis,
        redis_gb=memory_gb,
        writes_a_second=writes,
        read_gbit=moved_gbit,
        written_gbit=moved_gbit,
        redis_cores=redis_cores,
        nodes_by=nodes_by,
        beam_state_gb=held_gb,
        flink_slots=slots,
        flink_machines=_machines(flink_cores, slots * memory_a_slot_gb, prices),
        dataflow_vcpu=math.ceil(python_cores),
        dataflow_machines=_machines(python_cores, slots * costs.worker_mb / 1e3, prices),
    )


def monthly(demand: Demand, needed: Need, costs: Constants, prices: Prices, *, replicas: int) -> dict[str, float]:
    """Return what a month costs, by part; parts of Flink and of Dataflow are alternatives."""
    price, size = prices.price, prices.size
    month_s = HOURS * 3600
    mean_share = 1 / demand.peak_to_mean
    published_gb = demand.mean_rate * demand.event_bytes * month_s / GB
    moved_gb = (needed.read_gbit + needed.written_gbit) / 8 * mean_share * month_s
    machine = {
        runner: size["worker_vcpu"] * price[f"{runner}_vcpu_hour"] + size["worker_gb"] * price[f"{runner}_gb_hour"]
        for runner in ("flink", "dataflow")
    }
    return {
        "redis": needed.redis_nodes * size["redis_node_gb"] * (1 + replicas) * price["redis_gb_hour"] * HOURS,
        "network": moved_gb * price["network_gb"],
        "pubsub": 2 * published_gb * price["pubsub_gb"],
        "flink": needed.flink_machines * machine["flink"] * HOURS,
        "dataflow": needed.dataflow_machines * machine["dataflow"] * HOURS
        + published_gb * costs.shuffle_factor * price["dataflow_streaming_gb"],
    }


def totals(parts: dict[str, float]) -> Iterator[tuple[str, float]]:
    """Yield (runner, cost of a month with it)."""
    shared = parts["redis"] + parts["network"] + parts["pubsub"]
    for runner in ("flink", "dataflow"):
        yield runner, shared + parts[runner]


def _machines(cores: float, memory_gb: float, prices: Prices) -> int:
    return max(1, math.ceil(cores / prices.size["worker_vcpu"]), math.ceil(memory_gb / prices.size["worker_gb"]))
