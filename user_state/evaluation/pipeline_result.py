"""What a run through the pipeline is asked for, and what it came to, age by age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from user_state.durations import SECOND_US
from user_state.errors import InputError
from user_state.evaluation.interactions import F64
from user_state.evaluation.results import PLACES, Outcome, Quality
from user_state.evaluation.trials import Age, Trial

MARGIN_S = 0.2
"""A state is read this long before what it is asked to foretell is published, or the reader might come too late."""


@dataclass(frozen=True)
class Way:
    """How events get into Redis.

    Attributes:
        redis: URL of the Redis; it must hold nothing under the name that is used.
        topic, subscription: pubsub:// names of what events are published to and read from; None plays a paced file.
        speed: how much faster than it happened.
        segment_us: length of a segment, microseconds.
    """

    redis: str = field(repr=False)  # it may have a password
    topic: str | None = None
    subscription: str | None = None
    speed: float = 10.0
    segment_us: int = 1_200 * SECOND_US

    def check(self) -> None:
        """Raise InputError if the settings do not fit together."""
        if (self.topic is None) != (self.subscription is None):
            raise InputError("expected a topic and a subscription, or neither to play a file, got one of them")
        if not 0 < self.speed < float("inf"):
            raise InputError(f"expected a speed-up above 0, got {self.speed!r}")
        if self.segment_us <= 0:
            raise InputError("expected a segment longer than 0")


@dataclass(frozen=True)
class AtAge:
    """What reading at one age came to.

    Attributes:
        age: that was asked for.
        ideal, real: figures with a state of no delay, and with the state that was read.
        loss: (ideal MRR - real MRR), and its standard error, from the same questions.
        behind: share of reads whose state lacked something that one of no delay would show.
        left_out: reads that came too late to count, on either side.
    """

    age: Age
    ideal: Quality
    real: Quality
    loss: tuple[float, float]
    behind: float
    left_out: int

    def to_json(self) -> dict[str, Any]:
        """Return everything by name."""
        return {
            "age": self.age.text,
            "mean_age_s": self.age.mean_s,
            "ideal": self.ideal.to_json(),
            "through_pipeline": self.real.to_json(),
            "mrr_loss": round(self.loss[0], PLACES),
            "mrr_loss_standard_error": round(self.loss[1], PLACES),
            "reads_behind": round(self.behind, PLACES),
            "reads_left_out": self.left_out,
        }


@dataclass
class PipelineResult:
    """What a run through the pipeline came to.

    Attributes:
        scorer: as it was asked for.
        trial: what was asked.
        way: how events went.
        by_age: figures at each age.
        outcomes: the ideal and the real, for the chart.
        readable_s: (m,) wall seconds from when an event was due until it could be read; NaN where it never could.
        played, segments, seconds: how many events and segments, and how long it took.
        accounting: what `user-state run` said last.
    """

    scorer: str
    trial: Trial
    way: Way
    by_age: list[AtAge] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    readable_s: F64 = field(default_factory=lambda: np.zeros(0))
    played: int = 0
    segments: int = 0
    seconds: float = 0.0
    accounting: str = ""

    @property
    def delays_s(self) -> Mapping[str, float]:
        """Wall seconds until an event could be read: some quantiles, and the greatest."""
        seen = self.readable_s[np.isfinite(self.readable_s)]
        if len(seen) == 0:
            raise InputError("expected events to become readable, got none; did the pipeline run?")
        quantiles = {f"p{q}": float(np.quantile(seen, q / 100)) for q in (50, 90, 99)}
        return {**quantiles, "max": float(seen.max())}

    def to_json(self) -> dict[str, Any]:
        """Return everything by name."""
        delays = self.delays_s
        return {
            "scorer": self.scorer,
            "input": self.trial.log.source,
            "protocol": self.trial.protocol,
            "tested": len(self.trial.tested),
            "source": "file" if self.way.topic is None else "pubsub",
            "speed_up": self.way.speed,
            "read_before_event_s": MARGIN_S * self.way.speed,
            "segments": self.segments,
            "segment_s": self.way.segment_us / SECOND_US,
            "events_played": self.played,
            "seconds": round(self.seconds, 1),
            "readable_after_wall_s": {name: round(value, 3) for name, value in delays.items()},
            "readable_after_event_s": {name: round(value * self.way.speed, 2) for name, value in delays.items()},
            "events_timed": len(self.readable_s),
            "events_never_readable": int(np.isnan(self.readable_s).sum()),
            "ages": [at.to_json() for at in self.by_age],
            "accounting": self.accounting,
        }
