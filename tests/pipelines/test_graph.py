"""The names of the steps: runners keep metrics and state by them, so they change on purpose only."""

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.running import new_pipeline
from beam_pipelines.streaming import StreamingSettings, build
from user_state.spec import LoadedSpec, load_spec

STEPS = [
    "DecodeEvents/Decode/ParDo(_DecodeFn)",
    "FoldIntoRedis/Fold/ParDo(_FoldFn)",
    "Read/Impulse",
    "Read/Pull",
    "Read/Shards",
    "Read/SpreadShards",
    "WriteRefused/Store",
    "WriteUndecoded/Store",
]


@pytest.fixture(scope="module")
def spec() -> LoadedSpec:
    return load_spec("examples/feed/user_state.yaml")


def _steps(spec: LoadedSpec, **settings) -> list[str]:
    """Return the labels of the steps that hold no others, a reshuffle counting as one."""
    pipeline = new_pipeline(PipelineOptions())
    source = "pubsub://projects/local-dev/subscriptions/events"
    build(pipeline, spec, StreamingSettings(input=source, redis="redis://localhost", dead_letters="out", **settings))
    transforms = pipeline.to_runner_api().components.transforms.values()
    labels = {step.unique_name for step in transforms if not step.unique_name.startswith("Read/SpreadShards/")}
    return sorted(
        label
        for label in labels
        if label and "/" in label and not any(other.startswith(f"{label}/") for other in labels)
    )


def test_the_steps_of_the_streaming_graph_keep_their_names(spec: LoadedSpec):
    assert _steps(spec) == STEPS


def test_a_run_with_workers_elsewhere_has_the_same_steps(spec: LoadedSpec):
    assert _steps(spec, run="1234abcd") == STEPS


def test_holding_events_back_adds_one_step(spec: LoadedSpec):
    assert _steps(spec, flush_interval_s=2.0) == sorted([*STEPS, "CoalesceShards/Coalesce"])


def test_keeping_records_in_the_runners_state_folds_by_user(spec: LoadedSpec):
    elsewhere = {"FoldIntoRedis/Fold/ParDo(_FoldFn)"}
    folds = {*STEPS} - elsewhere | {"FoldIntoState/Fold/ParDo(_FoldFn)"}
    assert _steps(spec, state="runner") == sorted(folds)
    held_back = {"CoalesceShards/Coalesce", "SplitUsers/Split"}
    assert _steps(spec, state="runner", flush_interval_s=2.0) == sorted(folds | held_back)


def test_no_step_is_named_after_a_line_of_source(spec: LoadedSpec):
    pipeline = new_pipeline(PipelineOptions())
    pipeline | beam.Create([1])
    named = [step.unique_name for step in pipeline.to_runner_api().components.transforms.values()]
    assert any(".py:" in name for name in named)  # what Beam's own Create does
    assert [name for name in _steps(spec, flush_interval_s=2.0) if ".py" in name or "lambda" in name] == []
