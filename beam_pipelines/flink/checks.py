"""Whether a cluster, a job server and a worker pool are there, and are those that are meant: before anything starts."""

from __future__ import annotations

import socket

import grpc  # type: ignore[import-untyped]
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc

from beam_pipelines.flink.cluster import FlinkCluster
from beam_pipelines.flink.options import LOOPBACK, FlinkSettings
from user_state.errors import InputError

CONNECT_S = 3.0


def check_cluster(cluster: FlinkCluster, flink: FlinkSettings, state: str) -> int:
    """Return how many slots to use.

    Raises:
        InputError: cluster, job server or worker pool cannot be reached or are of another version, there are too few
            slots, or a savepoint would have no place.
    """
    overview = cluster.check()
    if not f"{overview.version}.".startswith(f"{flink.version}."):
        raise InputError(
            f"expected Flink {flink.version} at {cluster.address}, got {overview.version}: run a cluster of that"
            f" version (`make flink-up` does), or, if Beam's job server at {flink.job_endpoint} is the one for the"
            " cluster's, name it with --flink_version"
        )
    if state == "runner" and not flink.savepoint_dir and not cluster.savepoint_dir():
        raise InputError(
            "there is no folder for the savepoint from which a stopped run continues: set --savepoint_dir, or"
            f" state.savepoints.dir in the configuration of Flink at {cluster.address}"
        )
    wanted = flink.parallelism or overview.free_slots
    if not wanted or wanted > overview.free_slots:
        raise InputError(
            f"expected {wanted or 'a'} free task slot(s) in Flink at {cluster.address}, got {overview.free_slots} of"
            f" {overview.slots}: stop another job, lower --parallelism, or add TaskManagers"
        )
    _check_port(flink.job_endpoint, "Beam's job server", "--job_endpoint")
    host = flink.worker_pool.rsplit(":", 1)[0]
    # The pool's address is as the TaskManagers see it: it can be tried from here if they are on this machine.
    if flink.worker_pool != LOOPBACK and {host, cluster.address.split(":")[0]} <= {"localhost", "127.0.0.1"}:
        _check_port(flink.worker_pool, "the Python worker pool", "--worker_pool")
    _check_job_server(flink.job_endpoint)
    return wanted


def _check_job_server(address: str) -> None:
    """Find out whether Beam's job server for Flink listens there, and not something else."""
    with grpc.insecure_channel(address) as channel:
        service = beam_job_api_pb2_grpc.JobServiceStub(channel)
        request = beam_job_api_pb2.DescribePipelineOptionsRequest()
        try:
            known = {option.name for option in service.DescribePipelineOptions(request, timeout=CONNECT_S).options}
        except grpc.RpcError as exc:
            raise InputError(
                f"expected Beam's job server at {address}, got another server there: {brief(exc)}; `make flink-up`"
                " starts one here, --job_endpoint names another"
            ) from exc
    if "checkpointing_interval" not in known:
        raise InputError(
            f"expected Beam's job server for Flink at {address}, got the one of another runner: start"
            " beam-runners-flink-job-server, or `make flink-up`"
        )


def _check_port(address: str, what: str, option: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise InputError(f"expected {option} to be host:port, got {address!r}")
    try:
        socket.create_connection((host, int(port)), CONNECT_S).close()
    except OSError as exc:
        raise InputError(
            f"cannot reach {what} at {address}: {exc}; `make flink-up` starts one here, {option} names another"
        ) from exc


def brief(error: Exception) -> str:
    """Return what an error says, in a line."""
    details = getattr(error, "details", None)  # of gRPC's errors, whose text is many lines
    text = str(details()) if callable(details) else str(error)
    return text.strip().split("\n", maxsplit=1)[0][:400]
