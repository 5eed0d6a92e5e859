"""Pulls, and how Beam finds out how large they are."""

import pickle

import apache_beam as beam
import pytest
from apache_beam.coders import registry
from apache_beam.options.pipeline_options import PipelineOptions

from beam_pipelines.running import new_pipeline
from transforms.pull import Pull, PullCoder
from transforms.read_native_pubsub import ReadFromNativePubSub
from transforms.read_pubsub import ReadFromPubSubSubscription
from user_state.events.message import Message

SUBSCRIPTION = "projects/local-dev/subscriptions/any"
PULL = Pull(Message(bytes(size), {"a": "b"}, size, f"ack-{size}", SUBSCRIPTION) for size in (0, 90, 5000))


def test_a_pull_comes_back_as_it_was() -> None:
    coder = PullCoder()
    found = coder.decode(coder.encode(PULL))
    assert isinstance(found, Pull)
    assert found == PULL
    assert all(isinstance(message, Message) for message in found)


def test_the_size_is_near_the_truth_and_nothing_is_pickled_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    coder = PullCoder()
    many = Pull(Message(bytes(100), {}, n, f"{SUBSCRIPTION}:{n}", SUBSCRIPTION) for n in range(100))
    for pull in (PULL, many):
        assert 0.5 < coder.estimate_size(pull) / len(coder.encode(pull)) < 3
    monkeypatch.setattr(pickle, "dumps", None)
    # As Beam's counters ask, for a sampled element.
    size, _ = coder.get_impl().get_estimated_size_and_observables(PULL)
    assert size == coder.estimate_size(PULL)


@pytest.mark.parametrize("source", [ReadFromPubSubSubscription(SUBSCRIPTION), ReadFromNativePubSub(SUBSCRIPTION)])
def test_beam_takes_this_coder_for_what_sources_emit(source: beam.PTransform) -> None:
    pulls = new_pipeline(PipelineOptions()) | source
    assert isinstance(registry.get_coder(pulls.element_type), PullCoder)
