"""What is missing when a run on Flink starts is said in one line that tells how to mend it, and it does not hang.

A command that hung would end in `run_command`'s timeout. How long it takes is not held: a busy machine is slow.
"""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from beam_pipelines.flink.checks import check_cluster
from beam_pipelines.flink.cluster import FlinkCluster
from beam_pipelines.flink.job import _job_id
from beam_pipelines.flink.options import FlinkSettings
from beam_pipelines.flink.watching import cause_of
from tests.servers.flink import SCRIPTS
from tests.servers.pipeline import run_command
from tests.servers.ports import free_port
from user_state.errors import InputError

SPEC = "examples/feed/user_state.yaml"


class _Rest(http.server.BaseHTTPRequestHandler):
    """Answers as a JobManager that has what `answer` says."""

    answer: bytes = b""
    answers: ClassVar[dict[str, bytes]] = {}

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.answers.get(self.path, self.answer))

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def rest() -> Iterator[tuple[str, type[_Rest]]]:
    """An HTTP server on loopback: its address, and the class whose `answer` it gives."""
    handler = type("Handler", (_Rest,), {})
    server = http.server.HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", handler
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _overview(slots: int, free: int, version: str = "1.19.3") -> bytes:
    return json.dumps({"flink-version": version, "slots-total": slots, "slots-available": free}).encode()


def _refusal(*more: str) -> str:
    """Run with `more`; return the one line that it ends with."""
    ended = run_command(
        *("run", "--spec", SPEC, "--input", "pubsub://projects/local-dev/subscriptions/events"),
        *("--redis", f"redis://127.0.0.1:{free_port()}", "--runner", "flink", *more),
    )
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    (line,) = [one for one in ended.stderr.splitlines() if one.startswith("error: ")]
    return line


def test_no_cluster_is_said_with_how_to_start_one():
    address = f"localhost:{free_port()}"

    line = _refusal("--flink", address)

    assert f"cannot reach Flink at {address}" in line
    assert "make flink-up" in line
    assert "--flink" in line


def test_another_server_where_flink_should_be_is_said(rest: tuple[str, type[_Rest]]):
    address, handler = rest
    handler.answer = b"<html>hello</html>"

    assert f"expected Flink's REST interface at {address}" in _refusal("--flink", address)


@pytest.mark.parametrize(
    ("slots", "free", "more", "words"),
    [
        pytest.param(0, 0, [], "has no TaskManager", id="no TaskManager"),
        pytest.param(2, 0, [], "expected a free task slot(s)", id="no free slot"),
        pytest.param(4, 2, ["--parallelism", "3"], "expected 3 free task slot(s)", id="too few free slots"),
    ],
)
def test_too_few_slots_are_said(rest: tuple[str, type[_Rest]], slots: int, free: int, more: list[str], words: str):
    address, handler = rest
    handler.answer = _overview(slots, free)

    assert words in _refusal("--flink", address, *more)


@pytest.mark.parametrize("version", ["1.18.1", "1.20.0", "2.0.0", "1.1.9"])
def test_another_version_of_flink_is_said_with_what_to_do(rest: tuple[str, type[_Rest]], version: str):
    address, handler = rest
    handler.answer = _overview(4, 4, version)

    with pytest.raises(InputError, match=rf"expected Flink 1\.19 at .*, got {version}: .*--flink_version"):
        check_cluster(FlinkCluster(address), FlinkSettings(rest=address), "redis")


def test_a_server_that_is_no_job_server_of_flinks_is_said(rest: tuple[str, type[_Rest]]):
    address, handler = rest
    handler.answer = _overview(4, 4)

    line = _refusal("--flink", address, "--job_endpoint", address, "--worker_pool", address)

    assert f"expected Beam's job server at {address}" in line


def test_a_cluster_without_a_place_for_savepoints_is_said(rest: tuple[str, type[_Rest]]):
    address, handler = rest
    handler.answers = {"/overview": _overview(4, 4), "/jobmanager/config": b'[{"key": "a", "value": "b"}]'}

    with pytest.raises(InputError, match=r"--savepoint_dir, or state\.savepoints\.dir"):
        check_cluster(FlinkCluster(address), FlinkSettings(rest=address), "runner")
    where = FlinkSettings(rest=address, savepoint_dir="file:///savepoints", parallelism=5)
    with pytest.raises(InputError, match="--parallelism"):  # the next thing that is wrong
        check_cluster(FlinkCluster(address), where, "runner")


def test_no_job_server_and_no_worker_pool_are_said_with_the_option_that_names_them(rest: tuple[str, type[_Rest]]):
    address, handler = rest
    handler.answer = _overview(2, 2)
    nobody = f"localhost:{free_port()}"

    line = _refusal("--flink", address, "--job_endpoint", nobody)
    assert f"cannot reach Beam's job server at {nobody}" in line
    assert "--job_endpoint" in line
    with socket.create_server(("127.0.0.1", 0)) as listening:
        endpoint = f"127.0.0.1:{listening.getsockname()[1]}"
        line = _refusal("--flink", address, "--job_endpoint", endpoint, "--worker_pool", nobody)
    assert f"cannot reach the Python worker pool at {nobody}" in line
    assert "--worker_pool" in line
    assert "expected --job_endpoint to be host:port" in _refusal("--flink", address, "--job_endpoint", "here")


def test_a_cluster_with_a_free_slot_passes(rest: tuple[str, type[_Rest]]):
    address, handler = rest
    handler.answer = _overview(4, 1)

    assert FlinkCluster(f"http://{address}/").check() == ("1.19.3", 4, 1)
    with pytest.raises(InputError, match="cannot reach Flink"):
        FlinkCluster(f"localhost:{free_port()}").check()


def test_a_job_is_found_by_its_name_and_is_none_that_had_the_name_before(rest: tuple[str, type[_Rest]]):
    address, handler = rest
    names = {"old": "feed", "other": "another", "new": "feed"}
    handler.answer = json.dumps({"jobs": [{"jid": jid, "name": name} for jid, name in names.items()]}).encode()
    cluster = FlinkCluster(address)

    assert cluster.job_ids("feed") == {"old", "new"}
    assert cluster.job_ids("nothing") == set()
    assert _job_id(cluster, "feed", {"old"}, []) == "new"
    with pytest.raises(InputError, match="did not take the job: no slots"):
        _job_id(cluster, "feed", {"old", "new"}, ["no slots"])


def test_the_innermost_cause_of_a_failure_is_what_is_told():
    trace = (
        "java.lang.RuntimeException: outer\n\tat a.b(C.java:1)\nCaused by: java.io.IOException: inner\n\tat d.e(F:2)"
    )

    assert cause_of(trace) == "java.io.IOException: inner"
    assert cause_of("java.lang.RuntimeException: only\n\tat a.b(C.java:1)") == "java.lang.RuntimeException: only"
    assert cause_of("") == "no reason given"


def test_of_a_failure_in_python_what_was_raised_last_is_told():
    trace = (
        "java.lang.RuntimeException: outer\n\tat a.b(C.java:1)\n"
        "Caused by: java.lang.RuntimeException: Error for instruction 7: Traceback (most recent call last):\n"
        '  File "a.py", line 1, in f\n    g(x)\nKeyError: 7\n\nThe above exception was the direct cause of the'
        ' following exception:\n\nTraceback (most recent call last):\n  File "b.py", line 2, in h\n'
        "google.api_core.exceptions.NotFound: 404 Topic not found\n\n\tat d.e(F.java:2)\nno: line of Python"
    )

    assert cause_of(trace) == "google.api_core.exceptions.NotFound: 404 Topic not found"


@pytest.mark.parametrize(("tool", "words"), [("java", "expected java on the PATH"), ("mvn", "expected Maven")])
def test_make_flink_up_says_which_tool_is_missing(tmp_path: Path, tool: str, words: str):
    """A PATH with the other tools only, and nothing downloaded."""
    (tmp_path / "bin").mkdir()
    for name in ("bash", "env", "dirname", "cat", "cksum", "tr", "java", "javac", "jar", "mvn", "head", "ps", "sed"):
        if name != tool and (found := _which(name)):
            (tmp_path / "bin" / name).symlink_to(found)
    env = {"PATH": str(tmp_path / "bin"), "PYTHON": sys.executable, "FLINK_HOME": str(tmp_path / "home")}
    if tool == "mvn" and not (_which("java") and _which("javac")):
        pytest.skip("there is no JDK here")

    done = subprocess.run([SCRIPTS / "up.sh"], env=env, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def _which(name: str) -> str | None:
    import shutil

    found = shutil.which(name)
    return None if found is None else os.path.realpath(found) if name == "bash" else found
