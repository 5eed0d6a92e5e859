"""Keyed state through Beam's own harness: the same values, all sent before any answer is awaited."""

from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import BytesCoder
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.runners.worker import bundle_processor, statecache
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.userstate import BagStateSpec, ReadModifyWriteStateSpec

from beam_pipelines.beam_patches.state_writes import Pipelined, PipelinedContext
from beam_pipelines.beam_patches.versions import put_in_place

BEAMS_WEIGH = statecache.get_deep_size
CELL = ReadModifyWriteStateSpec("cell", BytesCoder())
BAG = BagStateSpec("bag", BytesCoder())


@pytest.fixture(autouse=True)
def _in_place(monkeypatch):
    monkeypatch.setattr(statecache, "get_deep_size", BEAMS_WEIGH)
    monkeypatch.setattr(bundle_processor, "FnApiUserStateContext", bundle_processor.FnApiUserStateContext)
    put_in_place("state_sizes", "state_writes")


class _JoinFn(beam.DoFn):
    """Emits what a key held before, and adds to it."""

    CELL, BAG = CELL, BAG

    def process(
        self,
        element: tuple[str, bytes],
        cell: Any = beam.DoFn.StateParam(CELL),  # noqa: B008
        bag: Any = beam.DoFn.StateParam(BAG),  # noqa: B008
    ):
        held = cell.read()
        yield element[0], held, sorted(bag.read())
        bag.add(element[1])
        if element[1] == b"clear":
            cell.clear()
            bag.clear()
        else:
            cell.write((held or b"") + element[1])


def test_a_pipeline_reads_what_it_wrote_and_cleared(monkeypatch):
    committed = []
    commit = PipelinedContext.commit
    monkeypatch.setattr(PipelinedContext, "commit", lambda self: (committed.append(1), commit(self)))
    elements = [("u", b"a"), ("v", b"x"), ("u", b"b"), ("u", b"clear"), ("u", b"c"), ("u", b"d")]

    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        found = pipeline | beam.Create(elements) | beam.ParDo(_JoinFn())
        assert_that(
            found,
            equal_to(
                [
                    ("u", None, []),
                    ("v", None, []),
                    ("u", b"a", [b"a"]),
                    ("u", b"ab", [b"a", b"b"]),
                    ("u", None, []),
                    ("u", b"c", [b"c"]),
                ]
            ),
        )

    assert committed


class _Future:
    def __init__(self, log: list[str], name: str, error: str) -> None:
        self._log, self._name, self._error = log, name, error

    def get(self, timeout: float | None = None) -> Any:
        self._log.append(f"awaited {self._name}")
        return beam_fn_api_pb2.StateResponse(error=self._error)


class _Runner:
    """A handler that notes what is sent and what is awaited."""

    def __init__(self, error: str = "") -> None:
        self.log: list[str] = []
        self._error = error

    def clear(self, key: str) -> _Future:
        self.log.append(f"clear {key}")
        return _Future(self.log, f"clear {key}", self._error)

    def extend(self, key: str, coder: object, elements: list[bytes]) -> _Future:
        self.log.append(f"extend {key}")
        return _Future(self.log, f"extend {key}", self._error)


def test_all_is_sent_before_any_answer_is_awaited_and_every_answer_is():
    runner = _Runner()
    handler = Pipelined(runner)
    for key in "ab":
        handler.clear(key).get()
        handler.extend(key, None, [b"x"]).get()
    sent = ["clear a", "extend a", "clear b", "extend b"]
    assert runner.log == sent

    handler.await_all()
    handler.await_all()

    assert runner.log == sent + [f"awaited {one}" for one in sent]


def test_a_write_that_the_runner_refuses_fails_the_bundle():
    handler = Pipelined(_Runner(error="no such key group"))
    handler.clear("a")
    with pytest.raises(RuntimeError, match="no such key group"):
        handler.await_all()
