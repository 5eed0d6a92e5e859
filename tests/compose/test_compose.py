"""The compose file fits together. Nothing is started here: deploy/compose/README.md says what has run."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from beam_pipelines.flink.job_jar import DRIVER
from user_state.cli.main import app

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "compose"
COMPOSE: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
UNASKED = {"topics", "run", "node"}
"""Services that end by themselves, or that cannot be asked how they are."""
FORGETFUL = {"topics", "pubsub"}
"""Services that do not start again by themselves: the emulator would come back without topics."""


def _text(service: dict[str, Any]) -> str:
    return yaml.safe_dump({key: service.get(key) for key in ("command", "entrypoint", "environment")})


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_pinned_image_a_health_check_and_ports_on_loopback(name: str):
    service = SERVICES[name]
    image, _, tag = service["image"].rpartition(":")
    assert image
    assert re.match(r"v?\d+\.\d+\.\d+", tag)
    assert name in UNASKED or service["healthcheck"]["test"]
    assert [port for port in service.get("ports", []) if not port.startswith("127.0.0.1:")] == []


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_refers_to_is_there(name: str):
    service = SERVICES[name]
    needed = set(service.get("depends_on", {}))
    network = service.get("network_mode", "")
    if network:
        needed.add(network.removeprefix("service:"))
    # host:port of another service, in commands and environments
    needed |= {host for host in re.findall(r"(?:=|//|: )([a-z]+):\d{4,5}\b", _text(service)) if host != "localhost"}
    assert needed <= SERVICES.keys()
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        assert source in COMPOSE["volumes"] if "/" not in source else (FOLDER / source).exists()
    if "build" in service:
        build = service["build"]
        dockerfile = (FOLDER / build["context"] / build["dockerfile"]).read_text()
        assert re.search(rf"^FROM \S+ AS {build['target']}$", dockerfile, re.MULTILINE)
    for other, condition in service.get("depends_on", {}).items():
        if condition["condition"] == "service_healthy":
            assert "test" in SERVICES[other]["healthcheck"]


def test_what_a_crash_ends_starts_again_and_the_job_is_submitted_when_flink_has_slots():
    restarts = {name: service.get("restart") for name, service in SERVICES.items() if name not in FORGETFUL}
    assert restarts.pop("run") == "on-failure"  # it has ended well when it was asked to stop
    assert {name for name, policy in restarts.items() if policy != "unless-stopped"} == set()
    assert SERVICES["run"]["depends_on"]["taskmanager"]["condition"] == "service_healthy"
    assert "slots-total" in SERVICES["taskmanager"]["healthcheck"]["test"][1]


def test_the_command_that_runs_has_options_that_exist_and_the_pool_is_in_the_task_managers_network():
    import typer

    options = {o for p in typer.main.get_command(app()).commands["run"].params for o in p.opts}
    module, command, *given = SERVICES["run"]["command"]
    assert (module, command) == ("user_state.cli.main", "run")
    assert {argument.split("=")[0] for argument in given} <= options
    # A container that starts again loses those who share its network, so neither of the two owns it.
    assert SERVICES["workers"]["network_mode"] == SERVICES["taskmanager"]["network_mode"] == "service:node"
    (endpoint,) = (argument.split("=")[1] for argument in given if argument.startswith("--job_endpoint="))
    host, port = endpoint.split(":")
    assert {f"--job-host={host}", f"--job-port={port}"} <= set(SERVICES[host]["command"])
    assert "--host=127.0.0.1" in SERVICES["workers"]["command"]
    assert SERVICES["jobserver"]["entrypoint"][-1] == DRIVER


def test_prometheus_scrapes_what_flink_exports_and_grafana_finds_both():
    prometheus = yaml.safe_load((FOLDER / "prometheus" / "prometheus.yaml").read_text())
    (scraped,) = prometheus["scrape_configs"]
    (targets,) = (one["targets"] for one in scraped["static_configs"])
    properties = yaml.safe_load(SERVICES["jobmanager"]["environment"]["FLINK_PROPERTIES"])
    assert {target.split(":")[1] for target in targets} == {str(properties["metrics.reporter.prom.port"])}
    assert {target.split(":")[0] for target in targets} <= SERVICES.keys()
    mounted = {
        v.split(":")[1]: FOLDER / v.split(":")[0] for n in ("prometheus", "grafana") for v in SERVICES[n]["volumes"]
    }
    assert [
        f"/etc/prometheus/{name}" for name in prometheus["rule_files"] if f"/etc/prometheus/{name}" not in mounted
    ] == []
    provisioning = mounted["/etc/grafana/provisioning"]
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "dashboards.yaml").read_text())["providers"]
    assert list(mounted[provider["options"]["path"]].glob("*.json"))
