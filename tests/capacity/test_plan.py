"""`user-state plan` against arithmetic done by hand."""

import json
import math
import random
import re
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.servers.pipeline import run_command
from user_state.capacity.demand import Demand
from user_state.capacity.measure import measure
from user_state.capacity.measured import CONSTANTS, HOW, PRICES, SIZES, Constants, Prices, load_constants, load_prices
from user_state.capacity.plan import monthly, need, totals
from user_state.costs import SESSION_US, Cost
from user_state.errors import InputError
from user_state.spec import load_spec

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "examples" / "starter" / "user_state.yaml"
COSTS = Constants(
    pipeline_us_an_event=60,
    fold_us_an_event=4,
    write_us=50,
    write_us_a_kb=30,
    flink_us_an_event=40,
    redis_us=10,
    redis_us_a_kb=2,
    request_bytes=200,
    worker_mb=500,
    taskmanager_mb=1500,
    busy=0.5,
    memory_full=0.8,
    shuffle_factor=2,
)
PRICED = Prices(
    date="2026-01-01",
    currency="EUR",
    price=dict.fromkeys(PRICES, 0.0)
    | {"redis_gb_hour": 0.01, "pubsub_gb": 0.05, "network_gb": 0.02}
    | {"flink_vcpu_hour": 0.03, "flink_gb_hour": 0.004}
    | {"dataflow_vcpu_hour": 0.06, "dataflow_gb_hour": 0.003, "dataflow_streaming_gb": 0.01},
    size={"redis_node_gb": 50, "redis_node_gbit": 5, "worker_vcpu": 8, "worker_gb": 16},
)
DEMAND = Demand(events_per_second=100_000, users=20_000_000, peak_to_mean=4, write_interval_s=900, event_bytes=250)
USER = Cost(record=1_844, seen=144)


def test_machines_are_what_is_worked_out_by_hand():
    """One write a session of ten events, since the interval is as long as the session: 0.1 writes an event."""
    found = need(DEMAND, USER, COSTS, PRICED)

    assert DEMAND.writes_an_event == pytest.approx(0.1)
    assert found.writes_a_second == pytest.approx(10_000)
    # 20e6 * (1844 + 56 + 144 + 56) bytes = 42 GB, of which 0.8 may be used
    assert found.redis_gb == pytest.approx(52.5)
    # (1988 + 100) bytes * 8 * 10,000
    assert found.read_gbit == pytest.approx(0.16704)
    assert found.written_gbit == pytest.approx(0.16704)
    # 10,000 * (10 + 2 * 1.988) us, of which 0.5 may be used
    assert found.redis_cores == pytest.approx(0.27952)
    assert found.nodes_by == {"memory": 2, "processor": 1, "network": 1}
    assert (found.redis_nodes, found.breaks_first) == (2, "memory")
    # 100,000 * 64 us + 10,000 * (50 + 30 * 1.988) us = 7.4964 s a second, of which 0.5: 14.99
    assert found.flink_slots == 15
    # 14.99 + 8 cores on machines of 8; 15 * 2 GB on machines of 16
    assert found.flink_machines == 3
    assert (found.dataflow_vcpu, found.dataflow_machines) == (15, 2)
    assert found.beam_state_gb == 0


def test_what_the_runner_holds_are_held_back_events_and_with_state_runner_all_records():
    held = need(DEMAND, USER, COSTS, PRICED, held_back=True).beam_state_gb
    assert held == pytest.approx(100_000 * 900 * 250 * 2 / 1e9)
    assert need(DEMAND, USER, COSTS, PRICED, state="runner").beam_state_gb == pytest.approx(20e6 * 1_988 / 1e9)


def test_a_month_costs_what_is_worked_out_by_hand():
    parts = monthly(DEMAND, need(DEMAND, USER, COSTS, PRICED), COSTS, PRICED, replicas=1)

    assert parts["redis"] == pytest.approx(2 * 50 * 2 * 0.01 * 730)
    # a mean of 25,000 events a second of 250 bytes, published and delivered
    published_gb = 25_000 * 250 * 730 * 3600 / 1e9
    assert parts["pubsub"] == pytest.approx(2 * published_gb * 0.05)
    assert parts["network"] == pytest.approx(2 * 0.16704 / 8 / 4 * 730 * 3600 * 0.02)
    assert parts["flink"] == pytest.approx(3 * (8 * 0.03 + 16 * 0.004) * 730)
    assert parts["dataflow"] == pytest.approx(2 * (8 * 0.06 + 16 * 0.003) * 730 + published_gb * 2 * 0.01)
    shared = parts["redis"] + parts["pubsub"] + parts["network"]
    assert dict(totals(parts)) == {"flink": shared + parts["flink"], "dataflow": shared + parts["dataflow"]}


@pytest.mark.parametrize(("more", "first"), [({"redis_us": 1e3}, "processor"), ({"request_bytes": 4e5}, "network")])
def test_what_breaks_first_is_what_asks_for_the_most_nodes(more: dict[str, float], first: str):
    assert need(DEMAND, USER, replace(COSTS, **more), PRICED).breaks_first == first


@pytest.mark.parametrize(("interval_s", "events"), [(5, 10), (60, 20), (300, 3)])
def test_writes_an_event_are_what_throwing_events_into_intervals_gives(interval_s: float, events: int):
    rng = random.Random(7)
    session_s = SESSION_US / 1e6
    hit = [len({int(rng.random() * session_s // interval_s) for _ in range(events)}) for _ in range(4_000)]
    demand = replace(DEMAND, write_interval_s=interval_s, events_a_session=events)
    assert demand.writes_an_event == pytest.approx(statistics.mean(hit) / events, rel=0.02)


def test_a_mean_user_acts_as_much_as_the_demand_says_and_is_weighed_so():
    assert DEMAND.events_a_user_and_day == pytest.approx(100_000 / 4 * 86_400 / 20e6)
    spec = load_spec(SPEC)
    few, many = (replace(DEMAND, users=users).bytes_of_user(spec) for users in (2e9, 2e7))
    assert few.record < many.record
    assert few.seen < many.seen


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("events_per_second", 0), ("events_per_second", math.nan), ("users", 0.5), ("peak_to_mean", 0.9)),
        *(("events_a_session", 0), ("days", 400), ("write_interval_s", 0), ("event_bytes", 0)),
    ],
)
def test_a_demand_out_of_range_is_refused_with_its_option(name: str, value: float):
    option = f"--{name}".replace("_", "-").removesuffix("-s")
    with pytest.raises(InputError, match=f"expected {option} between"):
        replace(DEMAND, **{name: value})


def test_users_who_would_do_more_than_anybody_can_are_refused():
    with pytest.raises(InputError, match="too few --users for so many --events-per-second"):
        replace(DEMAND, users=1_000)


def test_every_constant_says_how_it_was_come_by():
    _, entries = load_constants()
    assert entries.keys() == Constants.__dataclass_fields__.keys()
    for entry in entries.values():
        assert entry["how"] in HOW
        assert len(entry["source"]) > 10
        assert entry["unit"]
    assert sum(entry["how"] == "measured" for entry in entries.values()) >= 6
    # A worker is measured as a whole: what is not folding and writing is what an estimate of these leaves.
    assert [name for name, entry in entries.items() if entry["how"] == "derived"] == ["pipeline_us_an_event"]
    assert yaml.safe_load(CONSTANTS.read_text())["measured_on"]


def test_the_price_file_to_copy_can_be_used_and_says_that_its_figures_are_examples():
    path = ROOT / "deploy" / "prices.yaml"
    found = load_prices(path)
    assert found.size.keys() == SIZES.keys()
    assert "example" in found.currency
    assert "fill in your own" in path.read_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda found: found.pop("pubsub_gb"), r"missing \['pubsub_gb'\]"),
        (lambda found: found.update(gold=1), r"not known \['gold'\]"),
        (lambda found: found.update(redis_node_gb=0), "expected redis_node_gb"),
        (lambda found: found.update(network_gb="free"), "expected network_gb .* got 'free'"),
        (lambda found: found.update(network_gb=-1), "expected network_gb"),
    ],
)
def test_a_price_file_that_makes_no_sense_is_refused(tmp_path: Path, change, words: str):
    found = yaml.safe_load((ROOT / "deploy" / "prices.yaml").read_text())
    change(found)
    path = tmp_path / "prices.yaml"
    path.write_text(yaml.safe_dump(found))
    with pytest.raises(InputError, match=words):
        load_prices(path)


@pytest.mark.parametrize("text", ["- 1", "a: [", None])
def test_what_is_no_price_file_is_refused(tmp_path: Path, text: str | None):
    path = tmp_path / "prices.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError, match="expected a price file"):
        load_prices(path)


def test_measuring_replaces_the_costs_of_the_spec_alone_and_leaves_nothing_behind(valkey):
    measured = measure(load_spec(SPEC), replace(DEMAND, days=2), COSTS, valkey.url)

    changed = {name for name in Constants.__dataclass_fields__ if getattr(measured, name) != getattr(COSTS, name)}
    assert changed <= {"fold_us_an_event", "write_us", "write_us_a_kb", "redis_us", "redis_us_a_kb"}
    assert measured.write_us > 0
    assert measured.redis_us > 0
    with valkey.client() as client:
        assert client.dbsize() == 0


COMMAND = ("plan", "--spec", str(SPEC), "--prices", str(ROOT / "deploy" / "prices.yaml"))


def test_the_command_prints_what_the_functions_say_as_a_table_and_as_json():
    asked = ("--events-per-second", "20000", "--users", "1e7", "--write-interval", "5")
    printed, structured = run_command(*COMMAND, *asked), run_command(*COMMAND, *asked, "--json")

    costs, _ = load_constants()
    prices = load_prices(ROOT / "deploy" / "prices.yaml")
    demand = Demand(20_000, 1e7, write_interval_s=5)
    expected = need(demand, demand.bytes_of_user(load_spec(SPEC)), costs, prices, held_back=True)
    assert printed.returncode == structured.returncode == 0
    assert f"{expected.flink_slots:,} slots on {expected.flink_machines:,} machines" in printed.stdout
    assert f"breaks first: Redis, by {expected.breaks_first}" in printed.stdout
    found = json.loads(structured.stdout)
    assert found["need"]["nodes_by"] == expected.nodes_by
    assert found["need"]["beam_state_gb"] == pytest.approx(20_000 * 5 * 200 * costs.shuffle_factor / 1e9)
    assert found["monthly_total"]["flink"] == pytest.approx(
        dict(totals(monthly(demand, expected, costs, prices, replicas=1)))["flink"]
    )


def test_the_command_refuses_in_one_line():
    ended = run_command(*COMMAND, "--events-per-second", "20000", "--users", "0")
    assert ended.returncode == 2
    assert "error: expected --users between 1 and" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_page_works_through_what_the_command_prints():
    page = (ROOT / "docs" / "capacity.md").read_text()
    (command,) = re.findall(r"^user-state plan (.*)$", page, re.MULTILINE)
    (shown,) = re.findall(r"```text\n(a mean user.*?)```", page, re.DOTALL)
    given = command.replace("examples/", f"{ROOT}/examples/").split()
    printed = run_command("plan", *given, "--prices", str(ROOT / "deploy" / "prices.yaml")).stdout

    words, numbers = re.compile(r"[\d,.]+"), re.compile(r"\d[\d,.]*\d|\d")
    assert [words.sub("#", line).split() for line in shown.split("\n")] == [
        words.sub("#", line).split() for line in printed.split("\n")
    ]
    values = [[float(n.replace(",", "")) for n in numbers.findall(t) if "-" not in n] for t in (shown, printed)]
    # Records grow and shrink with the codec; the page is worked anew where that matters.
    assert values[0] == pytest.approx(values[1], rel=0.25)


def test_a_plan_is_made_in_any_folder_without_a_price_file_and_without_redis(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    given = ("plan", "--spec", str(SPEC), "--events-per-second", "20000", "--users", "1e7")
    ended = run_command(*given)
    assert ended.returncode == 0, ended.stderr
    said = next(line for line in ended.stdout.splitlines() if line.startswith("prices are examples; copy "))
    copied = Path(said.split("copy ")[1].split(",")[0])
    assert run_command(*given, "--prices", str(copied)).stdout == ended.stdout.replace(f"{said}\n", "")
