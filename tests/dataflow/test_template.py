"""The Flex template: metadata, image and command line agree, as far as can be told without Docker and Google Cloud."""

import json
import re
from pathlib import Path

import pytest
import typer

from beam_pipelines.dataflow.launcher import SPEC, arguments
from beam_pipelines.dataflow.options import _IMAGE
from tests.servers.pipeline import run_command
from user_state.cli.main import app

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "dataflow"
_PINS = re.compile(r"^\S+==.*$", re.MULTILINE)
PARAMETERS = {one["name"]: one for one in json.loads((DEPLOY / "metadata.json").read_text())["parameters"]}
EXAMPLES = {
    "input": ("pubsub://projects/my-project/subscriptions/user-state", "projects/my-project/subscriptions/user-state"),
    "redis": ("redis-cluster://app@10.0.0.3:6379?password_file=/run/secrets/redis", "10.0.0.3:6379"),
    "dead_letters": ("pubsub://projects/my-project/topics/dead", "dead-letters"),
    "sdk_container_image": ("europe-docker.pkg.dev/p/r/user-state:1.2", "user-state"),
    "shards": ("250", "0"),
    "durability": ("fsync", "always"),
    "flush_interval": ("2.5", "-1"),
    "cache_mb": ("128", "lots"),
    "publish_time_attribute": ("published_us", ""),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_an_option_of_the_command_and_its_pattern_takes_right_and_refuses_wrong(name: str):
    group = typer.main.get_command(app())
    options = {option for parameter in group.commands["run"].params for option in parameter.opts}
    assert f"--{name}" in options | {"--sdk_container_image"}
    parameter = PARAMETERS[name]
    assert parameter["label"]
    assert parameter["helpText"].endswith(".")
    right, wrong = EXAMPLES[name]
    (pattern,) = parameter["regexes"]
    assert re.search(pattern, right)
    assert not re.search(pattern, wrong)


def test_what_the_command_needs_the_template_asks_for():
    needed = {name for name, one in PARAMETERS.items() if not one.get("isOptional")}
    assert needed == {"input", "redis", "dead_letters", "sdk_container_image", "shards"}
    assert PARAMETERS["sdk_container_image"]["regexes"] == [f"^{_IMAGE.pattern}$"]


def test_the_launcher_hands_on_what_it_is_given():
    given = ["--runner=DataflowRunner", "--redis=redis://10.0.0.3", "--spec=/template/spec/other.yaml"]
    assert arguments(given) == ["run", "--runner=dataflow", *given[1:]]


def test_the_image_has_the_pinned_beam_the_package_and_the_spec():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    (pinned,) = re.findall(r"^apache-beam==(\S+)$", (ROOT / "requirements-dataflow.txt").read_text(), re.MULTILINE)
    images = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert images[-1] == f"apache/beam_python3.11_sdk:{pinned}"
    assert [image for image in images if ":" not in image or image.endswith(":latest")] == []
    copied = [part for line in lines if re.match(r"COPY (?!--from|\$)", line) for part in line.split()[1:-1]]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    assert {"user_state", "transforms", "beam_pipelines", "avro"} <= set(copied)
    (entry,) = re.findall(r"FLEX_TEMPLATE_PYTHON_PY_FILE=/opt/user-state/(\S+)", "\n".join(lines))
    assert (ROOT / entry).exists()
    assert f"COPY ${{SPEC}} {Path(SPEC).parent}" in lines
    assert lines[-1] == 'ENTRYPOINT ["/opt/apache/beam/boot"]'
    # A worker is started there, and would import sources that lie there in place of the package with its compiled code.
    assert [line for line in lines if line.startswith("WORKDIR ")][-1] == "WORKDIR /"


def test_what_the_pipeline_needs_to_run_is_pinned_for_dataflow_too():
    to_run, _, _ = (ROOT / "requirements.txt").read_text().partition("# To develop")
    assert set(_PINS.findall(to_run)) <= set(_PINS.findall((ROOT / "requirements-dataflow.txt").read_text()))


def test_what_is_flinks_or_directs_is_refused_on_dataflow():
    given = ["--spec", str(ROOT / "examples" / "starter" / "user_state.yaml"), "--redis", "redis://10.0.0.3:6379"]
    given += ["--input", EXAMPLES["input"][0], "--dead-letters", EXAMPLES["dead_letters"][0], "--runner", "dataflow"]
    ended = run_command("run", *given, "--savepoint_path", "file:///tmp/savepoint")
    assert ended.returncode == 2
    assert "error: expected no --stop_when_idle, --savepoint_path or --savepoint_dir on Dataflow" in ended.stderr
