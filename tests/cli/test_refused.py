"""A Redis that refuses connections is told at once, by every command that needs one, before any work."""

import resource
import subprocess
import sys

import pytest

from tests.servers.ports import free_port
from user_state.errors import StoreUnavailable
from user_state.events.avro_files import interaction_schema, write_events
from user_state.store.connection import check_reachable

SPEC = "examples/starter/user_state.yaml"
COMMANDS = {
    "run": ["run", "--spec", SPEC, "--input", "EVENTS"],
    "get": ["get", "--spec", SPEC, "somebody"],
    "verify": ["verify", "--spec", SPEC, "--events", "EVENTS"],
    "check": ["check", SPEC],
    "rollback": ["rollback", "--spec", SPEC, "--yes"],
}
TOLD_S = 5.0
"""Of processor time, of which it takes about one: nothing waits, and nothing is imported that is not needed."""


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["redis", "redis-cluster"])
@pytest.mark.parametrize("name", list(COMMANDS))
def test_it_is_told_at_once(tmp_path, name, scheme):
    write_events(tmp_path / "events.avro", [], interaction_schema())
    command = [part.replace("EVENTS", str(tmp_path / "events.avro")) for part in COMMANDS[name]]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = subprocess.run(
        [sys.executable, "-m", "user_state.cli.main", *command, "--redis", f"{scheme}://127.0.0.1:{free_port()}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert ended.returncode == 2
    assert "is not available" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < TOLD_S


def test_a_server_that_answers_is_reachable(valkey):
    check_reachable(valkey.url, 5)
    with pytest.raises(StoreUnavailable):
        check_reachable(f"redis://127.0.0.1:{free_port()}", 5)
