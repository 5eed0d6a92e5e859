"""docs/design/layers.md names every module that one event and one look-up pass, and no module that does not exist.

Both go the real way, with a real Redis, while calls of functions are watched; only the source is left out. The first
event and look-up are not watched, since they do what is done once in a process.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from tests.servers.redis import Valkey
from transforms.decode_events import _DecodeFn
from transforms.fold_into_redis import _FoldFn
from transforms.pull import Pull
from user_state.client import UserStateClient
from user_state.events.avro_files import SingleObject, interaction_schema
from user_state.events.message import Message
from user_state.spec import LoadedSpec, parse_spec
from user_state.store.redis_store import RedisStateStore

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "design" / "layers.md").read_text("utf-8")
EVENT, LOOK_UP = "One event, from body to Redis", "One look-up, from MGET to arrays"
PARTS = ("user_state", "transforms", "beam_pipelines")
SPEC = """
name: ways
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time, published: published_at}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
features: {views: {aggregate: count, where: {action: view}, windows: [1h, lifetime]}}
sequences: {recent: {fields: [item_id], where: {action: view}, last: 5}}
"""


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def modules_in(text: str) -> set[str]:
    return set(re.findall(rf"\b((?:native|{'|'.join(PARTS)})/[\w/]+\.(?:py|cpp|hpp|lua))\b", text))


def drawn(heading: str) -> set[str]:
    return modules_in(section(heading).split("```")[1])


@pytest.fixture
def spec() -> LoadedSpec:
    return parse_spec(SPEC, beside=Path(), name="spec")


@pytest.fixture
def fold(spec: LoadedSpec, valkey: Valkey) -> Iterator[Callable[[Message], None]]:
    """Send a message through the steps of the pipeline, one bundle each."""
    decoding = _DecodeFn(spec, 4, 0, None)
    folding = _FoldFn(spec, lambda: RedisStateStore(valkey.url, spec.spec.name), 64 << 20, 0, None, None, None)
    decoding.setup()
    folding.setup()

    def bundle(sent: Message) -> None:
        decoding.start_bundle()
        packets = list(decoding.process(Pull([sent])))
        decoding.finish_bundle()
        folding.start_bundle()
        for packet in packets:
            assert list(folding.process(packet, None, 0)) == []
        assert list(folding.finish_bundle()) == []

    yield bundle
    folding.teardown()


def message(event_id: str) -> Message:
    now_us = time.time_ns() // 1000
    event = {"event_id": event_id, "user_id": "u", "item_id": "i", "action": "view", "event_time": now_us}
    body = SingleObject(interaction_schema()).encode({**event, "published_at": None, "value": None, "category": None})
    return Message(body, {}, now_us, None, "somewhere")


def called_by(work: Callable[[], Any]) -> tuple[Any, set[str]]:
    """Return what work returns, and the files of ours whose functions it called."""
    files = set()

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            files.add(frame.f_code.co_filename)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        made = work()
    finally:
        sys.setprofile(before)
    ours = {str(Path(file).relative_to(ROOT)) for file in files if file.startswith(f"{ROOT}/")}
    return made, {file for file in ours if file.split("/")[0] in PARTS}


@pytest.mark.parametrize(("heading", "said", "at_least"), [(EVENT, "Eight", 16), (LOOK_UP, "Four", 6)])
def test_both_ways_are_drawn_with_modules_that_exist_and_counted(heading: str, said: str, at_least: int) -> None:
    assert len(drawn(heading)) >= at_least
    assert [name for name in sorted(modules_in(section(heading))) if not (ROOT / name).is_file()] == []
    ours = {name for name in drawn(heading) if name.endswith(".py")} - {"transforms/read_files.py"}
    assert len(ours) == {"Eight": 8, "Four": 4}[said]
    assert f"\n{said} Python modules" in section(heading)


def test_an_event_passes_no_module_that_is_not_named(fold: Callable[[Message], None]) -> None:
    fold(message("first"))
    second = message("second")
    _, passed = called_by(lambda: fold(second))
    assert passed - modules_in(section(EVENT)) == set()
    sources = {name for name in drawn(EVENT) if name.startswith("transforms/read_")}
    assert {name for name in drawn(EVENT) if name.endswith(".py")} - sources - passed == set()


def test_a_look_up_passes_no_module_that_is_not_named(
    fold: Callable[[Message], None], spec: LoadedSpec, valkey: Valkey
) -> None:
    fold(message("first"))
    with UserStateClient.from_url(valkey.url, spec) as client:
        client.get_many(["u", "nobody"])
        batch, passed = called_by(lambda: client.get_many(["u", "nobody"]))
        assert batch.present.tolist() == [True, False]
    assert passed - modules_in(section(LOOK_UP)) == set()
    assert {name for name in drawn(LOOK_UP) if name.endswith(".py")} - passed == set()
