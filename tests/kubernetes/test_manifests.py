"""The manifests fit together: what kustomize builds names images, ConfigMaps, Secrets, ports that are there.

They were held against the operator's schema when they were written; here only their own references are.
"""

import base64
import re
import shutil
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import yaml

from beam_pipelines.flink.job_jar import ENTRY_CLASS
from beam_pipelines.flink.options import TESTED_VERSION

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
BASE = FOLDER / "base"
FROM_OUTSIDE = {"object-storage", "user-state-redis", "pubsub-credentials"}


def _built(overlay: str) -> list[dict[str, Any]]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    command = [kubectl, "kustomize", str(FOLDER / "overlays" / overlay)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def _deployment(objects: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = (one for one in objects if one["kind"] == "FlinkDeployment")
    return found["spec"]


def _containers(spec: dict[str, Any]) -> list[dict[str, Any]]:
    pods = [spec["podTemplate"], *(spec[role]["podTemplate"] for role in ("jobManager", "taskManager"))]
    return [c for pod in pods for c in (*pod["spec"].get("initContainers", []), *pod["spec"].get("containers", []))]


def _named(tree: Any, key: str) -> list[str]:
    """Return every `name` under a key such as configMapRef."""
    if isinstance(tree, list):
        return [name for one in tree for name in _named(one, key)]
    if isinstance(tree, dict):
        here = [tree[key]["name"]] if key in tree else []
        return here + [name for one in tree.values() for name in _named(one, key)]
    return []


def test_every_file_is_yaml_and_is_part_of_a_kustomization():
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    named = {*listed["resources"], *listed["configurations"], "kustomization.yaml"}
    assert named == {path.name for path in BASE.glob("*.yaml")}
    for path in FOLDER.rglob("*.yaml"):
        assert list(yaml.safe_load_all(path.read_text())), path
    files = [file for one in listed["configMapGenerator"] for file in (*one.get("files", []), *one.get("envs", []))]
    assert [file for file in files if not (BASE / file).exists()] == []


def test_the_base_is_an_application_of_the_tested_flink_with_workers_on_loopback():
    spec = _deployment([yaml.safe_load((BASE / "flinkdeployment.yaml").read_text())])
    assert spec["flinkVersion"] == f"v{TESTED_VERSION.rstrip('.').replace('.', '_')}"
    assert spec["job"]["entryClass"] == ENTRY_CLASS
    assert spec["job"]["upgradeMode"] == "savepoint"
    configuration = spec["flinkConfiguration"]
    assert configuration["state.backend.type"] == "rocksdb"
    assert all(isinstance(value, str) for value in configuration.values())
    containers = {c["name"]: c for c in _containers(spec)}
    pool, maker = containers["workers"], containers["job-jar"]
    assert {"--host=127.0.0.1", "--port=50000"} <= set(pool["args"])
    assert "--worker_pool=localhost:50000" in maker["args"]
    for container in (pool, maker):
        assert import_module(container["args"][0]).main
    (out,) = (argument for argument in maker["args"] if argument.startswith("--out="))
    (mount,) = (m for m in maker["volumeMounts"] if m["name"] == "job")
    assert out == f"--out={mount['mountPath']}/{Path(spec['job']['jarURI']).name}"


def test_every_setting_that_the_job_jar_takes_is_given_and_all_that_is_given_is_taken():
    settings = dict(line.split("=", 1) for line in (BASE / "settings.env").read_text().splitlines())
    asked = set(re.findall(r"\$\((\w+)\)", (BASE / "flinkdeployment.yaml").read_text()))
    assert asked == {*settings, "REDIS"}


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_what_kustomize_builds_refers_to_what_is_there(overlay: str):
    objects = _built(overlay)
    spec = _deployment(objects)
    names = {
        kind: {one["metadata"]["name"] for one in objects if one["kind"] == kind} for kind in ("ConfigMap", "Secret")
    }
    used = {*_named(spec, "configMapRef"), *_named(spec, "configMap")}
    assert used == names["ConfigMap"]
    assert all(re.search(r"-[a-z0-9]{10}$", name) for name in used)
    secrets = set(_named(spec, "secretRef"))
    assert secrets == (names["Secret"] or FROM_OUTSIDE)
    assert {re.sub(r"-[a-z0-9]{10}$", "", name) for name in secrets} == FROM_OUTSIDE
    images = [spec["image"], *(c["image"] for c in _containers(spec) if "image" in c)]
    assert [image for image in images if not re.search(r"user-state-(flink|worker):\d+\.\d+\.\d+$", image)] == []
    for pod in (spec["jobManager"]["podTemplate"]["spec"], spec["podTemplate"]["spec"]):
        mounts = {
            m["name"] for c in (*pod.get("initContainers", []), *pod["containers"]) for m in c.get("volumeMounts", [])
        }
        assert mounts == {volume["name"] for volume in pod.get("volumes", [])}


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_flink_runs_as_an_account_that_may_start_taskmanagers_and_write_configmaps(overlay: str):
    objects = {(one["kind"], one["metadata"]["name"]): one for one in _built(overlay)}
    name = _deployment(list(objects.values()))["serviceAccount"]
    account = objects["ServiceAccount", name]
    (binding,) = (one for (kind, _), one in objects.items() if kind == "RoleBinding")
    subject = {"kind": "ServiceAccount", "name": name, "namespace": account["metadata"]["namespace"]}
    assert binding["subjects"] == [subject]
    may = {
        (what, verb)
        for rule in objects["Role", binding["roleRef"]["name"]]["rules"]
        for what in rule["resources"]
        for verb in rule["verbs"]
    }
    assert {(what, verb) for what in ("pods", "configmaps") for verb in ("create", "watch", "delete")} <= may


def test_workers_are_started_before_the_taskmanager_and_again_when_they_end():
    spec = _deployment([yaml.safe_load((BASE / "flinkdeployment.yaml").read_text())])
    (workers,) = spec["taskManager"]["podTemplate"]["spec"]["initContainers"]
    assert workers["restartPolicy"] == "Always"
    assert "50000" in workers["startupProbe"]["exec"]["command"][-1]


def test_the_local_overlay_has_all_that_its_settings_name_and_fits_two_cores():
    objects = _built("local")
    assert {one["apiVersion"] for one in objects if "." in one["apiVersion"].split("/")[0]} == {
        "flink.apache.org/v1beta1",
        "networking.k8s.io/v1",
        "rbac.authorization.k8s.io/v1",
    }
    services = {one["metadata"]["name"]: one["spec"]["ports"][0]["port"] for one in objects if one["kind"] == "Service"}
    secrets = [value for one in objects if one["kind"] == "Secret" for value in one["data"].values()]
    addresses = " ".join(base64.b64decode(value).decode() for value in secrets)
    assert set(re.findall(r"([a-z]+)\.user-state\.svc:(\d+)", addresses)) == {(n, str(p)) for n, p in services.items()}
    spec = _deployment(objects)
    (owner,) = spec["podTemplate"]["spec"]["initContainers"]
    (volume,) = spec["podTemplate"]["spec"]["volumes"]
    assert owner["command"][0] == "chown"
    assert owner["volumeMounts"][0]["name"] == volume["name"]
    pods = [one["spec"]["template"]["spec"]["containers"] for one in objects if one["kind"] == "Deployment"]
    asked = [c["resources"]["requests"]["cpu"] for containers in pods for c in containers]
    asked += [c["resources"]["requests"]["cpu"] for c in _containers(spec) if c["name"] == "workers"]
    cores = sum(float(one.removesuffix("m")) / 1000 for one in asked)
    cores += spec["jobManager"]["resource"]["cpu"] + spec["taskManager"]["resource"]["cpu"]
    assert 0 < cores <= 1.5


@pytest.mark.parametrize("overlay", ["local", "production"])
def test_slots_workers_and_parallelism_agree(overlay: str):
    objects = _built(overlay)
    spec = _deployment(objects)
    settings = next(one["data"] for one in objects if one["metadata"]["name"].startswith("user-state-settings"))
    slots = int(spec["flinkConfiguration"]["taskmanager.numberOfTaskSlots"])
    pool = next(c for c in _containers(spec) if c["name"] == "workers")
    assert int(settings["PARALLELISM"]) == spec["job"]["parallelism"]
    assert spec["job"]["parallelism"] % slots == 0
    assert int(settings["SOURCE_SHARDS"]) >= spec["job"]["parallelism"]
    assert int(settings["SHARDS"]) >= 4 * spec["job"]["parallelism"]
    assert {f"--spares={slots}", f"--most_spares={slots}"} <= set(pool["args"])
    assert overlay == "local" or pool["resources"]["requests"]["cpu"] == str(slots)


def test_metrics_are_scraped_where_flink_exports_them():
    spec = _deployment([yaml.safe_load((BASE / "flinkdeployment.yaml").read_text())])
    monitor = yaml.safe_load((BASE / "podmonitor.yaml").read_text())["spec"]
    (port,) = spec["podTemplate"]["spec"]["containers"][0]["ports"]
    assert str(port["containerPort"]) == spec["flinkConfiguration"]["metrics.reporter.prom.port"]
    assert monitor["podMetricsEndpoints"][0]["port"] == port["name"]
    assert monitor["selector"]["matchLabels"] == spec["podTemplate"]["metadata"]["labels"]


def test_the_spec_is_the_starter_spec_and_the_images_have_the_tested_flink():
    starter = ROOT / "examples" / "starter" / "user_state.yaml"
    assert (BASE / "spec" / "user_state.yaml").read_text() == starter.read_text()
    dockerfile = (FOLDER / "Dockerfile").read_text()
    (version,) = re.findall(r"FROM flink:(\S+)-java17", dockerfile)
    assert f"FLINK_VERSION={version}\n" in (ROOT / "deploy" / "flink" / "env.sh").read_text()
    assert f"flink-s3-fs-presto-{version}.jar" in (BASE / "flinkdeployment.yaml").read_text()
    ours = dockerfile.index("javac"), dockerfile.index("jar cf /jars/00-")  # lib/*.jar is sorted: before Beam's
    assert dockerfile.index("copy-dependencies") < ours[0] < ours[1] < dockerfile.index("AS flink")
    copied = [
        part for line in dockerfile.splitlines() if re.match(r"COPY (?!--from)", line) for part in line.split()[1:-1]
    ]
    assert [name for name in copied if not (ROOT / name).exists()] == []
