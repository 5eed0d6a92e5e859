"""Our settings for Flink become Beam's options, and the user's own take their place."""

import json
import os

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.flink.options import (
    CHECKPOINT_INTERVAL_S,
    ENVIRONMENT_OPTION,
    FlinkSettings,
    apply_environment,
    beam_arguments,
    with_state,
)
from beam_pipelines.running import beam_options
from user_state.errors import InputError

DEFAULTS = FlinkSettings()
HOST = {"PUBSUB_EMULATOR_HOST": "127.0.0.1:8085", "HOME": "/root"}


def _options(settings: FlinkSettings = DEFAULTS, *given: str) -> dict[str, object]:
    return PipelineOptions(beam_arguments(settings, "job", 4, given, HOST)).get_all_options(drop_default=True)


def test_the_defaults_need_no_checkpoints_restart_for_ever_and_have_a_process_a_slot():
    options = _options()

    assert options["parallelism"] == 4
    assert options["sdk_worker_parallelism"] == "4"
    assert options["environment_type"] == "EXTERNAL"
    assert options["environment_config"] == "localhost:50000"
    assert options["number_of_execution_retries"] == str(2**31 - 1)
    assert options["max_bundle_time_mills"] == "100"
    assert options["shutdown_sources_after_idle_ms"] == "0"
    assert "checkpointing_interval" not in options


def test_loopback_is_one_worker_and_a_checkpoint_interval_comes_with_as_long_a_pause():
    options = _options(FlinkSettings(worker_pool="loopback", checkpoint_interval_s=2.5))

    assert options["environment_type"] == "LOOPBACK"
    assert options["sdk_worker_parallelism"] == "1"
    assert options["checkpointing_interval"] == options["min_pause_between_checkpoints"] == "2500"


def test_with_checkpoints_the_source_stays_within_their_reach_and_the_last_one_is_kept():
    options = _options(FlinkSettings(checkpoint_interval_s=1, savepoint_path="file:///savepoints/one"))

    assert "shutdown_sources_after_idle_ms" not in options
    assert options["retain_externalized_checkpoints_on_cancellation"]
    assert options["finish_bundle_before_checkpointing"]
    assert options["savepoint_path"] == "file:///savepoints/one"


def test_a_job_name_that_is_given_is_the_jobs():
    assert _options()["job_name"] == "job"
    assert _options(DEFAULTS, "--job_name", "feed")["job_name"] == "feed"
    assert _options(DEFAULTS, "--job_name=feed")["job_name"] == "feed"


def test_checkpoints_are_taken_where_records_live_in_them():
    assert with_state(DEFAULTS, "redis").checkpoint_interval_s == 0
    assert with_state(DEFAULTS, "runner").checkpoint_interval_s == CHECKPOINT_INTERVAL_S
    assert with_state(FlinkSettings(checkpoint_interval_s=3), "runner").checkpoint_interval_s == 3


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        (FlinkSettings(checkpoint_interval_s=0), "runner", "expected a --checkpoint_interval above 0"),
        (FlinkSettings(worker_pool="loopback"), "runner", "expected --worker_pool host:port"),
        (FlinkSettings(savepoint_path="x"), "redis", "expected --state runner with --savepoint_path"),
        (FlinkSettings(savepoint_dir="x"), "redis", "expected --state runner with --savepoint_path"),
    ],
)
def test_what_does_not_go_with_where_records_live_is_refused(settings: FlinkSettings, state: str, words: str):
    with pytest.raises(InputError, match=words):
        with_state(settings, state)


def test_what_the_user_says_takes_the_place_of_ours():
    options = _options(DEFAULTS, "--max_bundle_time_mills=7", "--sdk_worker_parallelism", "1")

    assert options["max_bundle_time_mills"] == "7"
    assert options["sdk_worker_parallelism"] == "1"


def test_beam_knows_every_option_we_give():
    beam_options(beam_arguments(FlinkSettings(checkpoint_interval_s=1), "job", 1, ["--object_reuse"], HOST))


def test_the_emulator_reaches_the_workers_and_nothing_else_of_the_environment(monkeypatch):
    carried = str(_options()[ENVIRONMENT_OPTION])
    assert json.loads(carried) == {"PUBSUB_EMULATOR_HOST": "127.0.0.1:8085"}
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "elsewhere")
    monkeypatch.delenv("UNWANTED", raising=False)

    apply_environment(json.dumps({"PUBSUB_EMULATOR_HOST": "127.0.0.1:8085", "UNWANTED": "x"}))

    assert os.environ["PUBSUB_EMULATOR_HOST"] == "127.0.0.1:8085"
    assert "UNWANTED" not in os.environ
