"""`user-state rollback`: who writes is shown, asked about, and changed; the newer spec's run can then write no more."""

from __future__ import annotations

import sys
import time
from contextlib import closing

import pytest

from tests.trying import event
from user_state.cli import rollback as command
from user_state.cli.main import main
from user_state.errors import SpecSuperseded, StoreError
from user_state.events.decode import EventDecoder
from user_state.fold import Folder
from user_state.plan.compile import compile_plan
from user_state.spec import load_spec
from user_state.store.connection import connect
from user_state.store.keys import registry_key
from user_state.store.redis_store import RedisStateStore
from user_state.store.specs import propose_epoch, registered_specs
from user_state.store.survey import check_readable

EARLIER = """
name: tried
events: {schema: interaction.avsc, user: user_id, id: event_id, time: event_time}
allowed_lateness: 1d
max_clock_skew: 5m
retention: 90d
features: {views: {aggregate: count, windows: [1h]}}
"""
LATER = EARLIER.replace(
    "windows: [1h]}", "windows: [1h]}, likes: {aggregate: count, where: {action: like}, windows: [1h]}"
)


class Specs:
    """An earlier and a later spec, and a worker of each."""

    def __init__(self, folder, url):
        self.url = url
        self.paths = folder / "earlier.yaml", folder / "later.yaml"
        for path, text in zip(self.paths, (EARLIER, LATER), strict=True):
            path.write_text(text)
        self.earlier, self.later = (load_spec(path) for path in self.paths)

    def fold(self, loaded, user):
        plan = compile_plan(loaded)
        with closing(RedisStateStore(self.url, plan.name)) as store:
            now_us = time.time_ns() // 1000
            folder = Folder(plan, store, epoch=propose_epoch(self.url, plan, now_us))
            folder.fold([EventDecoder(plan, loaded.schema).row(event(now_us, user), None)])


@pytest.fixture
def specs(tmp_path, valkey):
    return Specs(tmp_path, valkey.url)


@pytest.fixture
def typed(monkeypatch, capsys, specs):
    """Types `user-state rollback --spec PATH WORDS`; returns exit code and what was said."""

    def run(path, *words):
        given = ["user-state", "rollback", "--spec", path, "--redis", specs.url, *words]
        monkeypatch.setattr(sys, "argv", [str(word) for word in given])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code or 0, captured.out + captured.err

    return run


def test_where_the_registry_is_lost_specs_are_registered_again_and_their_records_can_be_read(specs, typed):
    specs.fold(specs.earlier, "u")
    specs.fold(specs.later, "v")
    with connect(specs.url, 5) as redis:
        redis.delete(registry_key("tried"))
    plans = [compile_plan(loaded) for loaded in (specs.earlier, specs.later)]
    for plan in plans:  # neither can be started
        with pytest.raises(StoreError, match="1 of 2 records"):
            check_readable(specs.url, "tried", plan.layout.fingerprint)

    code, said = typed(specs.paths[0], "--yes")
    assert (code, "tried is written by no spec that is registered" in said) == (0, True)
    code, said = typed(specs.paths[1], "--yes")
    assert (code, f"is written by spec {plans[0].definition.hex()}" in said) == (0, True)
    for plan in plans:
        assert check_readable(specs.url, "tried", plan.layout.fingerprint).held.total() == 2


def test_the_earlier_spec_writes_again_and_the_later_one_no_more(specs, typed):
    specs.fold(specs.earlier, "u")
    specs.fold(specs.later, "v")
    with pytest.raises(SpecSuperseded, match="user-state rollback"):
        specs.fold(specs.earlier, "u")

    code, said = typed(specs.paths[0], "--yes")
    assert code == 0
    later = compile_plan(specs.later)
    assert f"tried is written by spec {later.definition.hex()}, since 20" in said
    assert "which took over at 20" in said
    assert "1 of 2 records have its layout: it keeps all" in said
    assert (
        f"1 of 2 records have layout {later.layout.fingerprint.hex()}; of these it\n  keeps: views\n  drops: " in said
    )
    assert f"{specs.paths[0]} writes tried from now on" in said

    specs.fold(specs.earlier, "u")
    with pytest.raises(SpecSuperseded):
        specs.fold(specs.later, "v")
    code, said = typed(specs.paths[0])  # nobody needs to be asked
    assert (code, "nothing to do" in said) == (0, True)


def test_without_a_terminal_yes_has_to_be_said(specs, typed):
    specs.fold(specs.earlier, "u")
    specs.fold(specs.later, "u")
    before = registered_specs(specs.url, compile_plan(specs.earlier))
    code, said = typed(specs.paths[0])
    assert (code, "cannot ask for confirmation without a terminal: add --yes to roll back" in said) == (2, True)
    assert registered_specs(specs.url, compile_plan(specs.earlier)) == before


@pytest.mark.parametrize(("answer", "code"), [(False, 1), (True, 0)])
def test_on_a_terminal_it_asks(specs, typed, monkeypatch, answer, code):
    specs.fold(specs.earlier, "u")
    specs.fold(specs.later, "u")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr(command.typer, "confirm", lambda question: answer)
    assert typed(specs.paths[0])[0] == code
    now = registered_specs(specs.url, compile_plan(specs.earlier)).current
    assert now == compile_plan(specs.earlier if answer else specs.later).definition
