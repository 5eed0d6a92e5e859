"""Read files of events as pulls, as fast as possible or at a chosen multiple of the speed at which it happened.

All files are one stream in order of time (`user_state.events.merged_files`), and so one element, read by one worker: a
user's clock must not run ahead in one file while another is still to be read. What is behind the decoder is spread as
ever.

A splittable DoFn like the Pub/Sub source: each call emits one `FilePull` and defers the rest, so that large files flow
through the pipeline instead of being read whole first, and a drain ends it after the pull at hand. Files end, so this
source does.
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
from transforms.file_systems import open_path
from transforms.pull import FilePull, Pull
from transforms.waiting_decoder import WaitingDecoder
from user_state.events.event_files import event_file
from user_state.events.merged_files import HistoryFile, MergedFiles, Place
from user_state.events.screening import clock_tolerance_us
from user_state.plan.compile import compile_plan
from user_state.spec import LoadedSpec

PULL_MESSAGES = 20_000
"""As many as a bundle folds at once (`transforms.bundle_buffer`): the more events of a user meet, the fewer writes."""
PULL_BYTES = 8 << 20
LONGEST_DEFER_S = 1.0
"""A paced source looks up this often, so that a drain need not wait for events that are far apart."""
SHORTEST_DEFER_S = 0.02
"""A paced source gathers what is due meanwhile."""


class ReadFiles(beam.PTransform):
    """Pulls of files of events or messages, timestamped with the wall time of the pull.

    Args:
        files: in order of time.
        spec: how events are read.
        replay_speed: 60 lets an hour of publish times take a minute; None is as fast as possible.
        replay_start_s: Unix time at which the first message is due; None is when it is read.
        publish_column: the column with the publish times of Parquet, CSV and JSON lines.
        max_messages: a pull ends with the segment in which it gets so many, or PULL_BYTES.
    """

    def __init__(
        self,
        files: Sequence[HistoryFile],
        spec: LoadedSpec,
        *,
        replay_speed: float | None = None,
        replay_start_s: float | None = None,
        publish_column: str | None = None,
        max_messages: int = PULL_MESSAGES,
    ) -> None:
        super().__init__()
        self._files = json.dumps(files)
        self._read = _ReadFn(spec, replay_speed, replay_start_s, publish_column, max_messages)

    def expand(self, pbegin: Any) -> Any:
        """Give the files a reader."""
        return (
            pbegin
            | "Files" >> beam.Create([self._files], reshuffle=False)
            | "SpreadFiles" >> beam.Reshuffle()
            | "ReadFiles" >> beam.ParDo(self._read).with_output_types(Pull)
        )


class _Reached(NamedTuple):
    """Where the reading is: a restriction's contents. `began_us` is when the first message was due; 0 until known."""

    place: Place = Place()
    began_us: int = 0

    def text(self) -> str:
        return json.dumps([self.place.text(), self.began_us])

    @classmethod
    def of(cls, text: str) -> _Reached:
        place, began_us = json.loads(text)
        return cls(Place.of(place), began_us)


class _FilesTracker(RestrictionTracker):
    """Moves from pull to pull; what is handed back begins where the reader is."""

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


class _FilesRestrictions(RestrictionProvider):
    def initial_restriction(self, element: str) -> str:
        return _Reached().text()

    def create_tracker(self, restriction: str) -> _FilesTracker:
        return _FilesTracker(restriction)

    def restriction_size(self, element: str, restriction: str) -> int:
        return 1

    def restriction_coder(self) -> StrUtf8Coder:
        return StrUtf8Coder()

    def truncate(self, element: str, restriction: str) -> None:
        return None


# How Beam is told what to pass to `process`: by default values of these types.
_TRACKER = beam.DoFn.RestrictionParam(_FilesRestrictions())
_WATERMARK = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class _ReadFn(beam.DoFn):
    def __init__(
        self,
        spec: LoadedSpec,
        replay_speed: float | None,
        replay_start_s: float | None,
        publish_column: str | None,
        max_messages: int,
    ) -> None:
        self._publish_column = publish_column
        self._spec = spec
        self._speed = replay_speed
        self._start_us = None if replay_start_s is None else round(replay_start_s * 1e6)
        self._max_messages = max_messages

    def setup(self) -> None:
        self._plan = compile_plan(self._spec)
        self._decoder = WaitingDecoder(self._plan, self._spec.schema)
        self._named = ""
        self._files: list[HistoryFile] = []
        self._merged: MergedFiles | None = None

    def _reader(self, named: str) -> MergedFiles:
        if self._merged is None or named != self._named:
            self._close()
            self._named = named
            self._files = [HistoryFile(*one) for one in json.loads(named)]
            self._merged = MergedFiles(
                self._files,
                lambda path: event_file(path, self._spec, open_path, self._publish_column),
                self._decoder,
                lateness_us=self._plan.allowed_lateness_us,
                tolerance_us=clock_tolerance_us(self._plan),
                most_messages=self._max_messages,
                most_bytes=PULL_BYTES,
            )
        return self._merged

    @beam.DoFn.unbounded_per_element()
    def process(self, named: str, tracker: Any = _TRACKER, watermark: Any = _WATERMARK) -> Iterator[TimestampedValue]:
        """Emit at most one pull."""
        if draining():
            self._close()
            return
        reached = _Reached.of(tracker.current_restriction())
        began = Timestamp.now()
        so_far = watermark.current_watermark()
        if so_far is not None and so_far > began:
            began = so_far  # the wall clock may be set back; a watermark may not
        reader = self._reader(named)
        now_us = time.time_ns() // 1000
        if self._speed is not None and not reached.began_us:
            reached = reached._replace(began_us=now_us if self._start_us is None else self._start_us)
        first_us = next((file.first_us for file in self._files if file.first_us), 0)
        until_us = None
        if self._speed is not None:
            until_us = first_us + round((now_us - reached.began_us) * self._speed)
        taken, place, next_us = reader.take(reached.place, now_us, until_us)
        if taken is None and not place.open:
            self._close()
            return
        if not tracker.try_claim(reached._replace(place=place).text()):
            return
        if taken is not None:
            yield TimestampedValue(FilePull(taken.messages, taken.size, taken.refused, taken.decoded), began)
        watermark.set_watermark(began)
        due_s = 0.0
        if self._speed is not None:
            due_s = ((next_us - first_us) / self._speed + reached.began_us - now_us) / 1e6
            due_s = min(max(due_s, SHORTEST_DEFER_S), LONGEST_DEFER_S)
        tracker.defer_remainder(Duration(seconds=due_s))

    def _close(self) -> None:
        if self._merged is not None:
            self._merged.close()
        self._merged = None

    def teardown(self) -> None:
        self._close()
