"""What a run's command does when the JobManager is away, or back without the job."""

from __future__ import annotations

import http.server
import io
import json
import threading
from collections.abc import Iterator
from typing import ClassVar

import pytest
from rich.console import Console

from beam_pipelines.flink import watching
from beam_pipelines.flink.cluster import FlinkCluster, Unknown, Unreachable
from beam_pipelines.flink.watching import Ending, Watch
from tests.servers.ports import free_port
from tests.servers.redis import Valkey
from transforms import drain
from user_state.errors import UserStateError
from user_state.store.run_board import RunBoard


class _Forgetful(http.server.BaseHTTPRequestHandler):
    """Answers as a JobManager that knows no job once it has given its `answers`: states of the job, or error codes."""

    answers: ClassVar[list[str | int]] = []

    def do_GET(self) -> None:
        if self.path.endswith("/checkpoints"):
            self._say({"latest": {"completed": {"id": 3, "external_path": "file:///checkpoints/chk-3"}}})
        elif self.path.endswith("/exceptions"):
            self._say({})
        else:
            answer = self.answers.pop(0) if self.answers else 404
            if isinstance(answer, int):
                self.send_error(answer)
            else:
                self._say({"state": answer})

    def _say(self, found: dict[str, object]) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(found).encode())

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def forgetful() -> Iterator[FlinkCluster]:
    _Forgetful.answers = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Forgetful) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield FlinkCluster(f"127.0.0.1:{server.server_port}")
        server.shutdown()
        thread.join()


@pytest.fixture
def board(valkey: Valkey) -> Iterator[RunBoard]:
    drain.reset()
    made = RunBoard(valkey.url, "feed", "run-1", timeout_s=2.0)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch) -> None:
    monkeypatch.setattr(watching, "FORGOTTEN_S", 0.5)
    monkeypatch.setattr(watching, "ABSENT_S", 3.0)
    monkeypatch.setattr(watching, "TOLD_S", 0.1)


def watch(cluster: FlinkCluster, board: RunBoard, *, keeps_state: bool = False) -> tuple[Watch, io.StringIO]:
    said = io.StringIO()
    console = Console(file=said, soft_wrap=True)
    ending = Ending(console, cluster, "j1", board, keeps_state=keeps_state, folder=None) if keeps_state else None
    return Watch(console, cluster, "j1", board, None, ending), said


def test_a_cluster_that_has_forgotten_the_job_ends_the_run_soon_and_says_what_comes_of_it(
    forgetful: FlinkCluster, board: RunBoard
):
    with pytest.raises(Unknown):
        forgetful.state("j1")
    with pytest.raises(UserStateError, match=r"does not know job j1 any more.*what was not acknowledged comes again"):
        watch(forgetful, board)[0].until_it_ends()
    with pytest.raises(UserStateError, match=r"with --savepoint_path and its last checkpoint nothing is lost"):
        watch(forgetful, board, keeps_state=True)[0].until_it_ends()


def test_where_the_last_checkpoint_is_is_still_known_when_the_cluster_has_forgotten_it(
    forgetful: FlinkCluster, board: RunBoard
):
    _Forgetful.answers = ["RUNNING"]

    with pytest.raises(UserStateError, match=r"--savepoint_path file:///checkpoints/chk-3 nothing is lost"):
        watch(forgetful, board, keeps_state=True)[0].until_it_ends()


def test_one_that_was_away_and_takes_a_moment_to_find_its_jobs_again_is_waited_for(
    forgetful: FlinkCluster, board: RunBoard
):
    board.report("a", {"read": 3, "applied": 3})
    _Forgetful.answers = ["RUNNING", 503, 503, 503, 503, 404, "RUNNING", "FINISHED"]

    assert watch(forgetful, board)[0].until_it_ends() == {"read": 3, "applied": 3}


def test_a_cluster_that_is_away_is_said_and_waited_for_longer(board: RunBoard):
    away = FlinkCluster(f"127.0.0.1:{free_port()}")
    with pytest.raises(Unreachable):
        away.state("j1")
    watched, said = watch(away, board)
    with pytest.raises(UserStateError, match=r"has been away for 3 s"):
        watched.until_it_ends()
    assert said.getvalue().startswith("waiting, nothing is lost: Flink is away: ")


def test_nobody_is_idle_before_a_worker_is_there(forgetful: FlinkCluster, board: RunBoard):
    _Forgetful.answers = ["RUNNING"] * 8 + ["FINISHED"]
    watched = Watch(Console(file=io.StringIO()), forgetful, "j1", board, 0.5, None)
    watched.until_it_ends()  # two seconds without a message, and without a worker
    assert not drain.draining()

    board.report("a", {})  # a worker that has read nothing yet
    _Forgetful.answers = ["RUNNING"] * 8 + ["FINISHED"]
    watched = Watch(Console(file=io.StringIO()), forgetful, "j1", board, 0.5, None)
    watched.until_it_ends()
    assert drain.draining()
