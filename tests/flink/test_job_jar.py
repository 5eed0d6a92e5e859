"""The jar for application mode holds the graph of the pipeline, and workers that come from the pool beside."""

import base64
import json
import os
import zipfile
from pathlib import Path

import pytest

from beam_pipelines.flink.job_jar import ENTRY_CLASS, make_jar
from beam_pipelines.flink.options import FlinkSettings
from beam_pipelines.streaming import StreamingSettings
from tests.flink.conftest import skip_without_flink
from tests.pipelines.test_graph import STEPS
from tests.servers.flink import SCRIPTS
from user_state.errors import InputError
from user_state.spec import load_spec

ROOT = Path(__file__).parents[2]
SPEC = load_spec(ROOT / "examples" / "starter" / "user_state.yaml")
SETTINGS = StreamingSettings(
    input="pubsub://projects/local-dev/subscriptions/events", redis="redis://redis:6379", dead_letters="out"
)


def _jars() -> str:
    skip_without_flink()
    home = Path(os.environ.get("FLINK_HOME", ROOT / ".flink"))
    if not (home / "beam").exists():
        pytest.skip(f"Flink's jars are not in {home}: {SCRIPTS / 'setup.sh'} gets them")
    return f"{home}/lib/*:{home}/beam/*"


def test_a_jar_is_made_with_the_graph_the_options_and_the_class_that_flink_starts(tmp_path: Path):
    make_jar(SPEC, SETTINGS, FlinkSettings(parallelism=3, checkpoint_interval_s=60), _jars(), tmp_path / "job.jar")

    with zipfile.ZipFile(tmp_path / "job.jar") as jar:
        names = jar.namelist()
        graph = json.loads(jar.read("BEAM-PIPELINE/user-state-feed/pipeline.json"))
        options = json.loads(jar.read("BEAM-PIPELINE/user-state-feed/pipeline-options.json"))
    assert f"{ENTRY_CLASS.replace('.', '/')}.class" in names
    steps = {step["uniqueName"] for step in graph["components"]["transforms"].values()}
    assert {step for step in STEPS if step != "Read/SpreadShards"} <= steps
    payloads = [environment["payload"] for environment in graph["components"]["environments"].values()]
    assert any(b"localhost:50000" in base64.b64decode(payload) for payload in payloads)
    text = json.dumps(options)
    assert '"beam:option:flink_master:v1": "[auto]"' in text
    assert '"beam:option:parallelism:v1": "3"' in text or '"beam:option:parallelism:v1": 3' in text
    assert "60000" in text


def test_a_class_path_without_beam_is_said(tmp_path: Path):
    skip_without_flink()
    with pytest.raises(InputError, match="job server did not start with --jars nothing"):
        make_jar(SPEC, SETTINGS, FlinkSettings(parallelism=1), "nothing", tmp_path / "job.jar")
    with pytest.raises(InputError, match="needs --parallelism"):
        make_jar(SPEC, SETTINGS, FlinkSettings(), "nothing", tmp_path / "job.jar")
    assert list(tmp_path.iterdir()) == []
