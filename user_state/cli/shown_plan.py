"""What `user-state plan` prints: for people and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table

from user_state.capacity.demand import Demand
from user_state.capacity.measured import Constants, Prices
from user_state.capacity.plan import Need, totals
from user_state.cli.terminal import Terminal


def as_jsonable(
    demand: Demand, costs: Constants, needed: Need, parts: dict[str, float], prices: Prices
) -> dict[str, Any]:
    """Return what is printed as JSON values."""
    return {
        "demand": {
            **asdict(demand),
            "events_a_user_and_day": demand.events_a_user_and_day,
            "writes_an_event": demand.writes_an_event,
        },
        "constants": asdict(costs),
        "need": {**asdict(needed), "redis_nodes": needed.redis_nodes, "breaks_first": needed.breaks_first},
        "monthly": parts,
        "monthly_total": dict(totals(parts)),
        "prices": asdict(prices),
    }


def show(demand: Demand, needed: Need, parts: dict[str, float], prices: Prices, replicas: int, measured: bool) -> None:
    """Print what is needed and what a month costs, for people."""
    console = Terminal()
    size = prices.size
    table = Table(box=None, pad_edge=False, padding=(0, 2), show_header=False)
    nodes = ", ".join(f"{name} {count:,}" for name, count in needed.nodes_by.items())
    lines = (
        ("a mean user", f"{demand.events_a_user_and_day:,.1f} events a day"),
        (
            "  in Redis",
            f"record {needed.record_bytes:,.0f} bytes, remembered ids {needed.seen_bytes:,.0f}, keys included",
        ),
        ("writes", f"{needed.writes_a_second:,.0f} a second, {demand.writes_an_event:.2f} an event"),
        ("Redis memory", f"{needed.redis_gb:,.1f} GB of primaries"),
        ("Redis processors", f"{needed.redis_cores:,.1f}, one a node"),
        ("network", f"{needed.read_gbit:,.2f} Gbit/s read, {needed.written_gbit:,.2f} Gbit/s written"),
        ("Redis primaries", f"{needed.redis_nodes:,} of {size['redis_node_gb']:g} GB, by {nodes}"),
        ("Beam state", f"{needed.beam_state_gb:,.1f} GB"),
        (
            "Flink",
            f"{needed.flink_slots:,} slots on {needed.flink_machines:,} machines of {size['worker_vcpu']:g} vCPU and"
            f" {size['worker_gb']:g} GB",
        ),
        ("Dataflow", f"{needed.dataflow_vcpu:,} vCPU on {needed.dataflow_machines:,} such workers"),
    )
    for name, text in lines:
        table.add_row(name, text)
    console.print(table)
    console.print(f"\na month, in {prices.currency}, by prices of {prices.date}; {replicas} replica(s) of each node:\n")
    money = Table(box=None, pad_edge=False, padding=(0, 2), show_header=False)
    money.add_column()
    money.add_column(justify="right")
    for name, value in parts.items():
        money.add_row(name, f"{value:,.0f}")
    for runner, value in totals(parts):
        money.add_row(f"all, with {runner}", f"{value:,.0f}")
    console.print(money)
    source = "folding and writing measured here" if measured else "costs as measured once, on another machine"
    console.print(f"\nbreaks first: Redis, by {needed.breaks_first}. At the peak; {source}.")
