"""Decoding waits for the schema registry as folding waits for Redis: as long as it takes, and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.events.encodings import SCHEMA, confluent, spec_in
from tests.servers.registry import Answer, running_registry
from tests.trying import T0, event
from transforms import backoff, counters, drain
from transforms.waiting_decoder import WaitingDecoder
from user_state.errors import RegistryUnavailable
from user_state.events.message import Message
from user_state.plan.compile import compile_plan
from user_state.schema_registry import http

TRIES = 3 * http.TRIES


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(backoff, "FIRST_PAUSE_S", 0.01)


def test_what_was_down_is_asked_until_it_answers(tmp_path: Path) -> None:
    with running_registry() as registry:
        number = registry.register(SCHEMA)
        registry.answers = [Answer(503, b"down")] * TRIES
        spec = spec_in(tmp_path, "confluent", registry=registry.url)
        decoder = WaitingDecoder(compile_plan(spec), spec.schema)
        before = counters.so_far()[counters.REGISTRY_UNAVAILABLE]
        decoded = decoder.batch([Message(confluent(event(T0), number), {}, T0, None, "test")])
        assert (len(decoded.batch), decoded.refused) == (1, [])
        assert len(registry.asked) == TRIES + 1
        assert counters.so_far()[counters.REGISTRY_UNAVAILABLE] == before + 3


def test_a_run_that_drains_gives_up_after_a_while_and_acknowledges_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backoff, "GIVE_UP_S", 0.05)
    monkeypatch.setattr(backoff, "draining", lambda: True)
    assert drain.draining() is False
    with running_registry() as registry:
        registry.always = Answer(503, b"down")
        spec = spec_in(tmp_path, "confluent", registry=registry.url)
        decoder = WaitingDecoder(compile_plan(spec), spec.schema)
        with pytest.raises(RegistryUnavailable):
            decoder.batch([Message(confluent(event(T0), 1), {}, T0, None, "test")])
