"""The job that Dataflow would get, built offline by its own runner: source, step names, coders, options."""

import datetime
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.io.gcp.pubsub import PubsubMessage
from apache_beam.options.pipeline_options import DebugOptions, GoogleCloudOptions, PipelineOptions, StandardOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import TimestampedValue

from beam_pipelines.dataflow.job import dataflow_pipeline
from beam_pipelines.streaming import StreamingSettings
from tests.pipelines.test_graph import STEPS
from transforms.read_native_pubsub import _GatherFn
from user_state.errors import InputError
from user_state.events.message import Message
from user_state.spec import load_spec

SPEC = load_spec(Path(__file__).parents[2] / "examples" / "starter" / "user_state.yaml")
SUBSCRIPTION = "projects/my-project/subscriptions/events"
SETTINGS = {
    "input": f"pubsub://{SUBSCRIPTION}",
    "redis": "redis://10.0.0.3:6379",
    "dead_letters": "pubsub://projects/my-project/topics/dead-letters",
    "shards": 100,
}
BEAM = {
    "project": "my-project",
    "region": "europe-west1",
    "temp_location": "gs://my-bucket/temp",
    "staging_location": "gs://my-bucket/staging",
    "sdk_container_image": "europe-west1-docker.pkg.dev/my-project/images/user-state:1",
    "max_num_workers": "10",
}


def _pipeline(settings: dict | None = None, options: dict | None = None) -> beam.Pipeline:
    given = {**BEAM, **(options or {})}
    arguments = [f"--{name}={value}" for name, value in given.items() if value is not None]
    return dataflow_pipeline(
        SPEC, StreamingSettings(**{**SETTINGS, **(settings or {})}), [*arguments, "--dry_run=True"]
    )


@pytest.fixture(scope="module")
def submitted() -> tuple[PipelineOptions, beam_runner_api_pb2.Pipeline]:
    job = _pipeline().run().job
    return job.options, job.proto_pipeline


def _steps(graph: beam_runner_api_pb2.Pipeline) -> dict[str, beam_runner_api_pb2.PTransform]:
    """Return the steps that hold no others, by name."""
    steps = graph.components.transforms.values()
    return {s.unique_name: s for s in steps if not s.subtransforms and s.unique_name}


def test_the_source_is_the_services_own_and_reads_the_subscription(submitted):
    _, graph = submitted
    sources = [s for s in _steps(graph).values() if s.spec.urn == "beam:transform:pubsub_read:v1"]
    (source,) = sources
    payload = beam_runner_api_pb2.PubSubReadPayload.FromString(source.spec.payload)
    assert payload.subscription == SUBSCRIPTION
    assert payload.with_attributes
    assert payload.id_attribute == ""
    assert not any("Impulse" in name for name in _steps(graph))


def test_steps_keep_their_names_so_that_a_running_job_can_be_updated(submitted):
    _, graph = submitted
    assert sorted(_steps(graph)) == sorted(
        [
            *(step for step in STEPS if not step.startswith("Read/")),
            "Read/Gather",
            "Read/Messages/Map(_from_proto_str)",
            "Read/Messages/ParDo(_AddMetricsPassThrough)",
            "Read/Messages/Read",
        ]
    )


def test_what_is_shuffled_has_fixed_coders_and_an_integer_key(submitted):
    _, graph = submitted
    (fold,) = (s for name, s in _steps(graph).items() if name.startswith("FoldIntoRedis/"))
    (given,) = fold.inputs.values()
    coders = graph.components.coders
    coder = coders[graph.components.pcollections[given].coder_id]
    key, value = (coders[one] for one in coder.component_coder_ids)
    assert coder.spec.urn == "beam:coder:kv:v1"
    assert (key.spec.urn, value.spec.urn) == ("beam:coder:varint:v1", "beam:coder:bytes:v1")
    payload = beam_runner_api_pb2.ParDoPayload.FromString(fold.spec.payload)
    assert list(payload.state_specs) == ["owner"]


def test_it_streams_on_streaming_engine_from_an_image_that_has_everything(submitted):
    options, graph = submitted
    assert options.view_as(StandardOptions).streaming
    assert options.view_as(GoogleCloudOptions).enable_streaming_engine
    assert options.view_as(GoogleCloudOptions).job_name == "user-state-feed"
    assert "enable_streaming_engine" in options.view_as(DebugOptions).experiments
    environments = [e for e in graph.components.environments.values() if e.urn == "beam:env:docker:v1"]
    images = {beam_runner_api_pb2.DockerPayload.FromString(e.payload).container_image for e in environments}
    assert images == {BEAM["sdk_container_image"]}
    staged = [d for e in environments for d in e.dependencies if b"main_session" in d.role_payload]
    assert staged == []


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ({}, {"project": None}, "expected --project such as my-project to run on Dataflow, got none"),
        ({}, {"region": "Europe"}, "expected --region such as europe-west1"),
        ({}, {"temp_location": "/tmp"}, "expected --temp_location such as gs://"),
        ({}, {"sdk_container_image": "user-state"}, "expected --sdk_container_image such as"),
        ({}, {"job_name": "My_Job"}, "expected --job_name such as"),
        ({}, {"max_num_workers": None}, "expected --max_num_workers of 1 to 1000 on Dataflow, got none"),
        ({"shards": 8}, {}, "expected --shards of at least --max_num_workers (10)"),
        ({"input": "events.avro"}, {}, "expected --input pubsub://"),
        ({"dead_letters": "out"}, {}, "expected --dead-letters pubsub://"),
        ({"redis": "redis://localhost:6379"}, {}, "expected a --redis that Dataflow's workers can reach"),
        ({"redis": "redis://127.0.0.5"}, {}, "expected a --redis that Dataflow's workers can reach"),
        ({"input": "pubsub://projects/x"}, {}, "expected a subscription such as"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_starts(settings, options, words):
    with pytest.raises(InputError) as refused:
        _pipeline(settings, options)
    assert words in str(refused.value)


def test_messages_that_come_together_become_one_pull_with_their_publish_times():
    at = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=datetime.UTC)
    at_us = 1767323045678901
    messages = [
        PubsubMessage(b"one", {"k": "v"}, publish_time=at),
        PubsubMessage(None, {"published": "1767323045000000"}, publish_time=at),
        PubsubMessage(b"three", None, publish_time=None),
    ]

    def are_one_pull(pulls):
        assert pulls == [
            [
                Message(b"one", {"k": "v"}, at_us, None, SUBSCRIPTION),
                Message(b"", {"published": "1767323045000000"}, 1767323045000000, None, SUBSCRIPTION),
                Message(b"three", {}, None, None, SUBSCRIPTION),
            ]
        ]

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        one = pipeline | beam.Create([0])
        stamped = one | beam.FlatMap(lambda _: [TimestampedValue(m, n) for n, m in enumerate(messages)])
        assert_that(stamped | beam.ParDo(_GatherFn(SUBSCRIPTION, "published")), are_one_pull)
