"""A Flink cluster's REST interface: what is there, how a job fares, and its end.

Beam's counters are not read here: while a job runs Flink knows them as metrics only, ten seconds late, which begin at
zero whenever the job starts again. Workers report through Redis instead (`transforms.remote_run`).
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any, NamedTuple

from user_state.errors import InputError

TIMEOUT_S = 5.0
ENDED = ("FINISHED", "CANCELED", "FAILED")


class Overview(NamedTuple):
    """What a cluster has."""

    version: str
    slots: int
    free_slots: int


class Failure(NamedTuple):
    """Why a job failed or started again, and when: milliseconds UTC by the JobManager's clock."""

    at_ms: int
    text: str


class Savepoint(NamedTuple):
    """A savepoint that was asked for: whether that is over, and where it is or why it failed."""

    is_over: bool
    location: str | None
    failure: str | None


class Unreachable(Exception):
    """The JobManager did not answer."""


class Unknown(Unreachable):
    """The JobManager answered that it does not know what it was asked about."""


class FlinkCluster:
    """The cluster whose REST interface is at `address`, such as `localhost:8081` or `https://flink.example.com`."""

    def __init__(self, address: str) -> None:
        self.address = address.removesuffix("/")
        self._url = self.address if "://" in self.address else f"http://{self.address}"

    def check(self) -> Overview:
        """Return what the cluster has.

        Raises:
            InputError: nobody answers there, or not as Flink does, or it has no task slot.
        """
        try:
            found = self._get("/overview")
            overview = Overview(found["flink-version"], found["slots-total"], found["slots-available"])
        except Unreachable as exc:
            raise InputError(
                f"cannot reach Flink at {self.address}: {exc}; `make flink-up` starts a cluster here,"
                " --flink names the REST address of another"
            ) from exc
        except (KeyError, TypeError, ValueError) as exc:
            raise InputError(f"expected Flink's REST interface at {self.address}, got another server there") from exc
        if overview.slots == 0:
            raise InputError(f"Flink at {self.address} has no TaskManager: start one, or wait until it has registered")
        return overview

    def job_ids(self, name: str) -> set[str]:
        """Return the ids of the jobs of that name, those that have ended included: a name may be used again."""
        return {str(job["jid"]) for job in self._get("/jobs/overview")["jobs"] if job["name"] == name}

    def state(self, job: str) -> str:
        """Return a job's state, such as RUNNING or one of ENDED.

        Raises:
            Unknown: there is no such job: it was never here, or the JobManager has started again and kept nothing.
            Unreachable: nobody answers.
        """
        return str(self._get(f"/jobs/{job}")["state"])

    def tasks_running(self, job: str) -> bool:
        """Return whether every task of a job runs, or has ended well."""
        return all(vertex["status"] in ("RUNNING", "FINISHED") for vertex in self._get(f"/jobs/{job}")["vertices"])

    def failures(self, job: str) -> list[Failure]:
        """Return why a job failed or started again, oldest first, as far back as Flink remembers."""
        found = self._get(f"/jobs/{job}/exceptions")
        entries = found.get("exceptionHistory", {}).get("entries", [])
        return sorted(Failure(entry["timestamp"], entry.get("stacktrace") or "") for entry in entries)

    def savepoint_dir(self) -> str | None:
        """Return where the cluster puts savepoints unless told otherwise, None if it has not been told."""
        settings = {entry["key"]: entry["value"] for entry in self._get("/jobmanager/config")}
        return settings.get("execution.checkpointing.savepoint-dir") or settings.get("state.savepoints.dir")

    def stop_with_savepoint(self, job: str, folder: str | None) -> str:
        """Begin a savepoint that ends the job once it is whole; return the request's id."""
        asked = {"cancel-job": True, **({"target-directory": folder} if folder else {})}
        answer = json.loads(self._request(f"/jobs/{job}/savepoints", "POST", json.dumps(asked).encode()))
        return str(answer["request-id"])

    def savepoint(self, job: str, request: str) -> Savepoint:
        """Return how a savepoint fares."""
        found = self._get(f"/jobs/{job}/savepoints/{request}")
        operation = found.get("operation") or {}
        failure = (operation.get("failure-cause") or {}).get("stack-trace")
        return Savepoint(found["status"]["id"] == "COMPLETED", operation.get("location"), failure)

    def last_checkpoint(self, job: str) -> str | None:
        """Return where the last completed checkpoint or savepoint of a job is, None if there is none."""
        latest = self._get(f"/jobs/{job}/checkpoints").get("latest") or {}
        completed = [one for one in (latest.get("completed"), latest.get("savepoint")) if one]
        newest = max(completed, key=lambda one: int(one["id"]), default=None)
        return None if newest is None else str(newest["external_path"])

    def cancel(self, job: str) -> None:
        """Cancel a job: it ends at once, and what was in flight comes again."""
        self._request(f"/jobs/{job}?mode=cancel", "PATCH")

    def _get(self, path: str) -> Any:
        return json.loads(self._request(path, "GET"))

    def _request(self, path: str, method: str, body: bytes | None = None) -> bytes:
        headers = {} if body is None else {"Content-Type": "application/json"}
        try:
            request = urllib.request.Request(  # noqa: S310 - the user's own address
                self._url + path, data=body, headers=headers, method=method
            )
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                return bytes(answer.read())
        except urllib.error.HTTPError as exc:
            exc.close()  # it is the answer, with its socket
            raise (Unknown if exc.code == HTTPStatus.NOT_FOUND else Unreachable)(f"{method} {path}: {exc}") from exc
        except (OSError, ValueError) as exc:
            raise Unreachable(str(getattr(exc, "reason", exc))) from exc
