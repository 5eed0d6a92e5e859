"""`user-state plan`: what a spec needs at a scale, and what that costs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from user_state.capacity.demand import Demand
from user_state.capacity.measured import EXAMPLE_PRICES, Constants, Prices, load_constants, load_prices
from user_state.capacity.plan import Need, monthly, need, totals
from user_state.cli.terminal import Terminal, say, say_json
from user_state.spec import load_spec


def plan(
    spec: Annotated[Path, typer.Option(help="The spec file.", show_default=False)],
    events_per_second: Annotated[
        float, typer.Option(help="Events a second at the peak, without those that no feature uses.", show_default=False)
    ],
    users: Annotated[float, typer.Option(help="Users with an event within `retention`.", show_default=False)],
    prices: Annotated[
        Path | None, typer.Option(help="A file with your prices; default: example prices, in the file that is named.")
    ] = None,
    peak_to_mean: Annotated[float, typer.Option(help="Peak rate divided by the mean rate of a day.")] = 2.0,
    events_a_session: Annotated[int, typer.Option(help="Events in a user's session of a quarter of an hour.")] = 10,
    days: Annotated[int, typer.Option(help="For how many days a mean user has been active.")] = 30,
    write_interval: Annotated[
        float, typer.Option(help="Seconds between two writes of a user: a bundle's length, or --flush_interval.")
    ] = 1.0,
    event_bytes: Annotated[int, typer.Option(help="Bytes of an event's body.")] = 200,
    replicas: Annotated[int, typer.Option(help="Replicas of each Redis node.", min=0, max=5)] = 1,
    state: Annotated[
        Literal["redis", "runner"], typer.Option(help="Which state is authoritative: Redis, or Beam's keyed state.")
    ] = "redis",
    measure: Annotated[
        str | None,
        typer.Option(help="Measure folding and writing on this machine, with the idle Redis at this URL."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Estimate what a spec needs at a scale: Redis, network, workers, what a month costs, and what breaks first.

    Arithmetic from measured costs (user_state/capacity/constants.yaml names the measurement of each) and your prices.
    The mean user stands for all.

    Example: `user-state plan --spec user_state.yaml --events-per-second 20000 --users 1e7`
    """
    loaded = load_spec(spec)
    demand = Demand(events_per_second, users, peak_to_mean, events_a_session, days, write_interval, event_bytes)
    costs, _ = load_constants()
    price_file = EXAMPLE_PRICES if prices is None else prices
    priced = load_prices(price_file)
    if measure is not None:
        from user_state.capacity.measure import measure as measured

        costs = measured(loaded, demand, costs, measure)
    needed = need(demand, demand.bytes_of_user(loaded), costs, priced, state=state, held_back=write_interval > 1)
    parts = monthly(demand, needed, costs, priced, replicas=replicas)
    if as_json:
        say_json(_jsonable(demand, costs, needed, parts, priced), indent=1)
    else:
        _print(demand, needed, parts, priced, replicas, measure is not None)
        if prices is None:
            say(f"prices are examples; copy {price_file}, put in yours, and name it with --prices")


def _jsonable(
    demand: Demand, costs: Constants, needed: Need, parts: dict[str, float], prices: Prices
) -> dict[str, Any]:
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


def _print(
    demand: Demand, needed: Need, parts: dict[str, float], prices: Prices, replicas: int, measured: bool
) -> None:
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
