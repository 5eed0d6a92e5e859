"""How fast bodies become columns: flat and nested Avro beside fastavro alone, and JSON beside orjson alone.

    python -m bench.decoding [--quick] [--json]

fastavro and orjson make dicts of the same bodies. JSON is written without spaces, as orjson writes it. Prints events a
second of one thread. What is compared runs in turns; the fastest of several runs counts.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import fastavro
import orjson

from user_state.durations import parse_duration_us
from user_state.events.as_written import Writers
from user_state.events.decode import EventDecoder
from user_state.events.generate import generate
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec, parse_spec
from user_state.spec.bodies import Bodies
from user_state.state.event_batch import MessageList

PULL = 1000
EVENTS, QUICK_EVENTS = 100_000, 10_000
RUNS = 5
HEADER_BYTES = 10
BELOW = 1000
"""Ratios are below, speeds are above."""
BESIDE = Path(__file__).parent
COMMON = "allowed_lateness: 1d\nmax_clock_skew: 5m\nretention: 90d\n"
FLAT = f"""
name: flat
events: {{schema: interaction.avsc, user: user_id, id: event_id, time: event_time, published: published_at}}
{COMMON}
features:
  n: {{aggregate: count, where: {{action: view}}, windows: [1d]}}
  watched: {{aggregate: sum, of: value, windows: [1d]}}
  by: {{aggregate: count_by, by: category, windows: [1d]}}
sequences: {{recent: {{fields: [item_id, action], last: 10}}}}
"""
NESTED = f"""
name: nested
events: {{schema: decoding_nested.avsc, user: who.user_id, id: event_id, time: event_time}}
{COMMON}
features:
  n: {{aggregate: count, where: {{action: view}}, windows: [1d]}}
  watched: {{aggregate: sum, of: value, windows: [1d]}}
  by: {{aggregate: count_by, by: device.os, windows: [1d]}}
  tags: {{aggregate: count_by, by: tags, windows: [1d]}}
  skus: {{aggregate: count_by, by: items.sku, windows: [1d]}}
  country: {{aggregate: count_by, by: attributes.country, windows: [1d]}}
"""


def bodies_of(spec: LoadedSpec, events: int) -> list[bytes]:
    """Return bodies as an app would send them."""
    made = generate(
        1000, events, 7, end_us=1_700_000_000_000_000, span_us=parse_duration_us("1d"), writers=Writers(spec)
    )
    return [message.data for message in made]


def events_a_second(events: int, runs: Mapping[str, Callable[[], Any]]) -> dict[str, float]:
    """Return how many events a second the fastest of several runs of each makes; they run in turns."""
    fastest_s = dict.fromkeys(runs, float("inf"))
    for _ in range(RUNS):
        for name, run in runs.items():
            fastest_s[name] = min(fastest_s[name], _timed(run))
    return {name: events / time_s for name, time_s in fastest_s.items()}


def _timed(run: Callable[[], Any]) -> float:
    began_s = time.perf_counter()
    run()
    return time.perf_counter() - began_s


def measure(text: str, events: int) -> dict[str, float]:
    """Return events a second: of this decoder to columns, of it to dicts, of fastavro and orjson to dicts."""
    spec = parse_spec(text, beside=BESIDE)
    decoder = EventDecoder(compile_plan(spec), spec.schema)
    of_json = EventDecoder(compile_plan(spec), replace(spec.schema, bodies=Bodies("json")))
    bodies = bodies_of(spec, events)
    texts = [orjson.dumps(decoder.decode(body)) for body in bodies]
    pulls, pulls_of_json = _pulls(bodies), _pulls(texts)
    for one, of in ((decoder, pulls), (of_json, pulls_of_json)):
        assert all(not one.batch(pull).refused for pull in of)  # else nothing was measured
    plain = [body[HEADER_BYTES:] for body in bodies]
    schema = spec.schema.parsed
    return events_a_second(
        events,
        {
            "columns": lambda: [decoder.batch(pull) for pull in pulls],
            "dicts": lambda: [decoder.decode(body) for body in bodies],
            "fastavro": lambda: [fastavro.schemaless_reader(io.BytesIO(body), schema, None) for body in plain],
            "json_columns": lambda: [of_json.batch(pull) for pull in pulls_of_json],
            "orjson": lambda: [orjson.loads(text) for text in texts],
        },
    )


def _pulls(bodies: list[bytes]) -> list[MessageList]:
    messages = [(body, {}, None, None, "") for body in bodies]
    return [MessageList.of_messages(messages[at : at + PULL]) for at in range(0, len(messages), PULL)]


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_EVENTS:,} events instead of {EVENTS:,}")
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args()
    events = QUICK_EVENTS if given.quick else EVENTS
    found = {name: measure(text, events) for name, text in (("flat", FLAT), ("nested", NESTED))}
    if given.json:
        print(json.dumps(found))
        return
    titles = ("avro", "to dicts", "fastavro", "avro / fastavro", "json", "orjson", "json / orjson")
    print(f"{'events a second':15} {' '.join(f'{title:>15}' for title in titles)}")
    for name, speeds in found.items():
        avro, of_json = (speeds[kind] for kind in ("columns", "json_columns"))
        shown = (avro, speeds["dicts"], speeds["fastavro"], avro / speeds["fastavro"], of_json, speeds["orjson"])
        cells = [f"{one:>15,.1f}" if one < BELOW else f"{one:>15,.0f}" for one in (*shown, of_json / speeds["orjson"])]
        print(f"{name:15} {' '.join(cells)}")


if __name__ == "__main__":
    main()
