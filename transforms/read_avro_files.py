"""Read Avro files as pulls, as fast as possible or at a chosen multiple of the speed at which it happened.

A splittable DoFn like the Pub/Sub source: each call emits one `Pull` and defers the rest of the file, so that
a large file flows through the pipeline instead of being read whole first, and a drain ends it after the pull at hand.
Files end, so this source does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
from apache_beam.coders import StrUtf8Coder
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from transforms.drain import draining
from transforms.pull import FilePull, Pull
from user_state.events.avro_blocks import Block, BlockReader
from user_state.events.decode import EventDecoder
from user_state.events.message import Message
from user_state.events.screening import clock_tolerance_us
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec
from user_state.state.event_batch import MessageList

PULL_MESSAGES = 20_000
"""As many as a bundle folds at once (`transforms.bundle_buffer`): the more events of a user meet, the fewer writes."""
PULL_BYTES = 8 << 20
LONGEST_DEFER_S = 1.0
"""A paced source looks up this often, so that a drain need not wait for events that are far apart."""


class ReadFromAvroFiles(beam.PTransform):
    """Pulls of files of events or messages, timestamped with the wall time of the pull.

    They are `FilePull`, but for records of nested types `Pull`.

    Args:
        paths: the files.
        spec: how events are read.
        replay_speed: 60 lets an hour of publish times take a minute; None is as fast as possible.
        replay_start_s: Unix time at which a file's first message is due; None is when it is read.
        max_messages: an element ends with the block in which it gets so many, or PULL_BYTES.
    """

    def __init__(
        self,
        paths: Sequence[str],
        spec: LoadedSpec,
        *,
        replay_speed: float | None = None,
        replay_start_s: float | None = None,
        max_messages: int = PULL_MESSAGES,
    ) -> None:
        super().__init__()
        self._paths = list(paths)
        self._read = _ReadFn(spec, replay_speed, replay_start_s, max_messages)

    def expand(self, pbegin: Any) -> Any:
        """Give each file a reader."""
        return (
            pbegin
            | "Files" >> beam.Create(self._paths, reshuffle=False)
            | "SpreadFiles" >> beam.Reshuffle()
            | "ReadBlocks" >> beam.ParDo(self._read).with_output_types(Pull)
        )


class _Place(NamedTuple):
    """Where a file's reader is: a restriction's contents.

    `offset` is the next block's, 0 before the first. `first_us` and `began_us` are the publish time of the file's
    first message and the wall time when it was due, for pacing; 0 until known.
    """

    offset: int = 0
    first_us: int = 0
    began_us: int = 0

    def text(self) -> str:
        return json.dumps(self)

    @classmethod
    def of(cls, text: str) -> _Place:
        return cls(*json.loads(text))


class _FileTracker(RestrictionTracker):
    """Moves from block to block; what is handed back begins where the reader is."""

    def __init__(self, restriction: str) -> None:
        self._begin = restriction
        self._at = restriction
        self._ended = False

    def current_restriction(self) -> str:
        return self._begin

    def current_progress(self) -> RestrictionProgress:
        return RestrictionProgress(completed=0.0, remaining=1.0)

    def check_done(self) -> bool:
        return True  # a drain ends it anywhere

    def is_bounded(self) -> bool:
        return False  # a bounded one would be read whole before anything is folded

    def try_claim(self, position: str) -> bool:
        if self._ended:
            return False
        self._at = position
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[str, str] | None:
        if fraction_of_remainder != 0 or self._ended:
            return None
        self._ended = True
        return self._begin, self._at


class _FileRestrictions(RestrictionProvider):
    def initial_restriction(self, element: str) -> str:
        return _Place().text()

    def create_tracker(self, restriction: str) -> _FileTracker:
        return _FileTracker(restriction)

    def restriction_size(self, element: str, restriction: str) -> int:
        return 1

    def restriction_coder(self) -> StrUtf8Coder:
        return StrUtf8Coder()

    def truncate(self, element: str, restriction: str) -> None:
        return None


# How Beam is told what to pass to `process`: by default values of these types.
_TRACKER = beam.DoFn.RestrictionParam(_FileRestrictions())
_WATERMARK = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class _ReadFn(beam.DoFn):
    def __init__(
        self, spec: LoadedSpec, replay_speed: float | None, replay_start_s: float | None, max_messages: int
    ) -> None:
        self._spec = spec
        self._speed = replay_speed
        self._start_us = None if replay_start_s is None else round(replay_start_s * 1e6)
        self._max_messages = max_messages

    def setup(self) -> None:
        self._readers: dict[str, BlockReader] = {}
        plan = compile_plan(self._spec)
        self._decoder = EventDecoder(plan, self._spec.schema)
        self._tolerance_us = clock_tolerance_us(plan)

    @beam.DoFn.unbounded_per_element()
    def process(self, path: str, tracker: Any = _TRACKER, watermark: Any = _WATERMARK) -> Iterator[TimestampedValue]:
        """Emit at most one pull."""
        if draining():
            self._close(path)
            return
        place = _Place.of(tracker.current_restriction())
        began = Timestamp.now()
        reached = watermark.current_watermark()
        if reached is not None and reached > began:
            began = reached  # the wall clock may be set back; a watermark may not
        pull, place, due_s = self._pull(path, place)
        if pull and due_s <= 0:
            if not tracker.try_claim(place.text()):
                return
            yield TimestampedValue(pull, began)
        elif not pull:
            self._close(path)
            return
        else:
            tracker.try_claim(place.text())
        watermark.set_watermark(began)
        tracker.defer_remainder(Duration(seconds=min(max(due_s, 0), LONGEST_DEFER_S)))

    def _pull(self, path: str, place: _Place) -> tuple[Pull | FilePull, _Place, float]:
        """Return (messages, the place after them, seconds until they are due); if not yet due, the place before."""
        reader = self._readers.get(path)
        if reader is None:
            reader = self._readers[path] = BlockReader(path, self._spec.schema)
        blocks: list[Block] = []
        messages = size = 0
        for block in reader.blocks(place.offset or reader.first_offset):
            blocks.append(block)
            messages += block.records
            size += len(block.data)
            if messages and (messages >= self._max_messages or size >= PULL_BYTES or self._speed is not None):
                break
        if not messages:
            return Pull(), place, 0
        listed = reader.messages(blocks)
        pull = FilePull(listed, size) if isinstance(listed, MessageList) else Pull(listed)
        if self._speed is not None:
            first_us = self._published_us(listed)
            if not place.began_us:
                began_us = time.time_ns() // 1000 if self._start_us is None else self._start_us
                place = place._replace(first_us=first_us, began_us=began_us)
            due_us = place.began_us + (first_us - place.first_us) / self._speed
            due_s = (due_us - time.time_ns() // 1000) / 1e6
            if due_s > 0:
                return pull, place, due_s
        return pull, place._replace(offset=blocks[-1].next_offset), 0

    def _published_us(self, messages: MessageList | list[Message]) -> int:
        """Return the first publish time that can be told; 0 if none can, which is due at once.

        One ahead of the wall clock tells nothing: its event is refused, and nobody waits for it.
        """
        latest_us = time.time_ns() // 1000 + self._tolerance_us
        published_us = self._decoder.batch(messages).batch.published_us
        return next(iter(published_us[published_us <= latest_us].tolist()), 0)

    def _close(self, path: str) -> None:
        reader = self._readers.pop(path, None)
        if reader is not None:
            reader.close()
