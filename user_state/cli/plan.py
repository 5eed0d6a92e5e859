"""`user-state plan`: what a spec needs at a scale, and what that costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer


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
    from user_state.capacity.demand import Demand
    from user_state.capacity.measured import EXAMPLE_PRICES, load_constants, load_prices
    from user_state.capacity.plan import monthly, need
    from user_state.cli.shown_plan import as_jsonable, show
    from user_state.cli.terminal import say, say_json
    from user_state.spec import load_spec

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
        say_json(as_jsonable(demand, costs, needed, parts, priced), indent=1)
    else:
        show(demand, needed, parts, priced, replicas, measure is not None)
        if prices is None:
            say(f"prices are examples; copy {price_file}, put in yours, and name it with --prices")
