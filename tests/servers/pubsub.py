"""A real Pub/Sub emulator for tests: started on a free loopback port, stopped by the process group it was given.

The emulator's jar is started directly: `gcloud` would put a Python launcher and two shells between us and the
process that has to end. Nothing here touches an emulator that someone else started, and nothing sets
PUBSUB_EMULATOR_HOST: that is the test's to decide.
"""

from __future__ import annotations

import ctypes
import datetime
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.servers.ports import free_port

PROJECT = "local-dev"
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
PR_SET_PDEATHSIG = 1


def emulator_missing() -> str | None:
    """Return why the emulator cannot be started here, or None if it can."""
    if shutil.which("java") is None:
        return "the Pub/Sub emulator needs java on the PATH"
    if _emulator_jar() is None:
        return "the Pub/Sub emulator is not installed: gcloud components install pubsub-emulator"
    return None


@dataclass
class PubSubEmulator:
    """A running emulator, and what tests do to it.

    Attributes:
        host: `127.0.0.1:PORT`, the value for PUBSUB_EMULATOR_HOST.
        process: the emulator itself, leader of its own process group.
    """

    host: str
    process: subprocess.Popen[bytes]

    @cached_property
    def publisher(self) -> Any:
        """Return a publisher client of this emulator, whatever the environment says."""
        from google.pubsub_v1 import PublisherClient  # the generated client: one request a call, no batching threads

        return PublisherClient(transport=self._transport(PublisherClient))

    @cached_property
    def subscriber(self) -> Any:
        """Return a subscriber client of this emulator, whatever the environment says."""
        from google.pubsub_v1 import SubscriberClient

        return SubscriberClient(transport=self._transport(SubscriberClient))

    def create_topic(self, name: str) -> str:
        """Create a topic in the test project and return its full path."""
        path = f"projects/{PROJECT}/topics/{name}"
        self.publisher.create_topic(name=path, timeout=10)
        return path

    def forget(self, topic: str, subscription: str) -> None:
        """Delete a topic and a subscription of the test project, if they are there: pages say which names they take."""
        from google.api_core.exceptions import NotFound

        with suppress(NotFound):
            self.subscriber.delete_subscription(
                subscription=f"projects/{PROJECT}/subscriptions/{subscription}", timeout=10
            )
        with suppress(NotFound):
            self.publisher.delete_topic(topic=f"projects/{PROJECT}/topics/{topic}", timeout=10)

    def create_subscription(
        self,
        name: str,
        topic: str,
        ack_deadline_s: int = 10,
        dead_letter_topic: str | None = None,
        *,
        keeps_acknowledged: bool = False,
    ) -> str:
        """Create a subscription of `topic` (a full path) and return its full path.

        With a topic for dead letters Pub/Sub counts deliveries, and publishes there what came ten times. One that keeps
        acknowledged messages can be sought back over them.
        """
        path = f"projects/{PROJECT}/subscriptions/{name}"
        request: dict[str, Any] = {
            "name": path,
            "topic": topic,
            "ack_deadline_seconds": ack_deadline_s,
            "retain_acked_messages": keeps_acknowledged,
        }
        if dead_letter_topic is not None:
            request["dead_letter_policy"] = {"dead_letter_topic": dead_letter_topic, "max_delivery_attempts": 10}
        self.subscriber.create_subscription(request=request, timeout=10)
        return path

    def publish(self, topic: str, bodies: Sequence[bytes], attributes: Sequence[dict[str, str]] | None = None) -> None:
        """Publish `bodies`, each with the attributes in the same place, in unary requests of 1,000 messages."""
        messages: list[dict[str, Any]] = [{"data": body} for body in bodies]
        for message, named in zip(messages, attributes or [], strict=False):
            message["attributes"] = named
        for start in range(0, len(messages), 1000):
            self.publisher.publish(topic=topic, messages=messages[start : start + 1000], timeout=30)

    def seek(self, subscription: str, time: datetime.datetime) -> None:
        """Have everything that was published since come again."""
        self.subscriber.seek(request={"subscription": subscription, "time": time}, timeout=10)

    def pull_all(self, subscription: str, quiet_s: float = 1.0) -> list[Any]:
        """Pull and acknowledge until nothing came for `quiet_s`; return the received messages."""
        from google.api_core.exceptions import DeadlineExceeded

        received: list[Any] = []
        quiet_since_s = time.monotonic()
        while time.monotonic() - quiet_since_s < quiet_s:
            try:
                # the emulator answers an idle pull a second before its deadline
                found = self.subscriber.pull(
                    subscription=subscription, max_messages=1000, timeout=1.3, retry=None
                ).received_messages
            except DeadlineExceeded:
                continue
            if found:
                received += found
                self.subscriber.acknowledge(subscription=subscription, ack_ids=[m.ack_id for m in found], timeout=10)
                quiet_since_s = time.monotonic()
        return received

    def close(self) -> None:
        """Close the clients and end the emulator's process group."""
        for name in ("publisher", "subscriber"):
            client = self.__dict__.pop(name, None)
            if client is not None:
                client.transport.close()
        _end(self.process)

    def _transport(self, client: Any) -> Any:
        import grpc

        options = [("grpc.max_receive_message_length", -1)]
        return client.get_transport_class("grpc")(channel=grpc.insecure_channel(self.host, options=options))


@contextmanager
def pubsub_emulator() -> Iterator[PubSubEmulator]:
    """Run an emulator for the length of a `with` block.

    Raises:
        RuntimeError: it is not installed, or did not start; the message holds the end of its output.
    """
    reason = emulator_missing()
    if reason is not None:
        raise RuntimeError(reason)
    emulator = _start()
    try:
        yield emulator
    finally:
        emulator.close()


def _start() -> PubSubEmulator:
    problem = ""
    for _ in range(3):  # another process may take the free port before the emulator does
        port = free_port()
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                ["java", "-jar", str(_emulator_jar()), "--host=127.0.0.1", f"--port={port}"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )
            if _answers(process, port):
                return PubSubEmulator(host=f"127.0.0.1:{port}", process=process)
            _end(process)
            output.seek(0)
            problem = output.read().decode(errors="replace")[-2000:]
    raise RuntimeError(f"the Pub/Sub emulator did not start: {problem}")


def _die_with_parent() -> None:
    """Have the kernel end the emulator should the tests themselves be killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _answers(process: subprocess.Popen[bytes], port: int) -> bool:
    import grpc

    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=1)
            except grpc.FutureTimeoutError:
                continue
            return process.poll() is None
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
        break
    process.wait(timeout=STOP_TIMEOUT_S)


def _emulator_jar() -> Path | None:
    jars = [jar for root in _sdk_roots() for jar in root.glob("platform/pubsub-emulator/lib/*.jar")]
    return jars[-1] if jars else None


def _sdk_roots() -> Iterator[Path]:
    if named := os.environ.get("CLOUDSDK_ROOT_DIR"):
        yield Path(named)
    if launcher := shutil.which("gcloud"):
        # <root>/bin/gcloud, behind however many symbolic links; asking gcloud itself takes a second and may say nothing
        yield Path(launcher).resolve().parent.parent
