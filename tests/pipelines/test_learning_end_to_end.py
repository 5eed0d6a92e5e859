"""Item vectors learned by the whole pipeline, held against plain loops over the events."""

from __future__ import annotations

from pathlib import Path

from tests.learned_pairs import pairs_of
from tests.servers.pipeline import running_pipeline
from tests.servers.redis import Valkey
from tests.store.test_learning import HALF_LIFE_US, SPEC, acts_by_chance, check, plan_of
from user_state.events.avro_files import interaction_schema, write_events
from user_state.plan.compile.learned import item_store_name
from user_state.store.redis_store import RedisStateStore


def test_events_of_a_file_twice_over(tmp_path: Path, valkey: Valkey) -> None:
    acts = acts_by_chance(8, 1_000, users=20, items=30, span_s=3_000)
    spec, events = tmp_path / "user_state.yaml", tmp_path / "events.avro"
    spec.write_text(SPEC.replace("REACH", "100").replace("SPREAD", "3"))
    write_events(
        events,
        (
            {"event_id": act.id, "user_id": act.user, "item_id": act.item or "", "action": "view"}
            | {"event_time": act.time_us, "value": None, "category": None}
            for act in [*acts, *acts]
            if act.item is not None  # the schema demands one
        ),
        interaction_schema(),
    )
    whole = [act for act in acts if act.item is not None]
    arguments = ["--spec", spec, "--input", events, "--redis", valkey.url, "--dead-letters", tmp_path / "dead"]
    with running_pipeline(*arguments, output=tmp_path / "run.log") as pipeline:
        accounting = pipeline.wait_for_end()
        said = pipeline.output
    assert (accounting.applied, accounting.duplicate, accounting.balanced) == (len(whole), len(whole), True)
    assert f"learned {len(pairs_of(whole, HALF_LIFE_US)):,} pairs" in said
    plan = plan_of(reach=100)
    store = RedisStateStore(valkey.url, item_store_name(plan, plan.learned[0]))
    try:
        check(plan, store, whole)
    finally:
        store.close()
