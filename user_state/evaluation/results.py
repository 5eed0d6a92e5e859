"""Ranks -> what people compare: MRR and recall, over parts of a trial, over the stream, and against the state's age.

    MRR    mean of 1 / rank
    R@k    share of tested interactions whose item ranked k or better; there is one such item, so this is also hit rate

Ranks are those of `scoring.mean_rank`: an item that ties with others has the mean of their ranks in both figures.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from user_state.evaluation.interactions import F64
from user_state.evaluation.trials import Age, Trial

CUTOFF = 10
STRETCHES = 20
"""Into how many parts of equal size the stream is cut for its curve."""
PLACES = 5


@dataclass(frozen=True)
class Quality:
    """Figures over some tested interactions.

    Attributes:
        tested: how many there are.
        mrr: mean reciprocal rank.
        recall: R@10.
    """

    tested: int
    mrr: float
    recall: float

    @classmethod
    def of(cls, ranks: F64) -> Quality:
        """Return the figures of at least one rank.

        >>> Quality.of(np.array([1.0, 2.0, 16.0, 16.0]))
        Quality(tested=4, mrr=0.40625, recall=0.5)
        """
        return cls(len(ranks), float(np.mean(1 / ranks)), float(np.mean(ranks <= CUTOFF)))

    def to_json(self) -> dict[str, float]:
        """Return the figures by name."""
        return {
            "tested": self.tested,
            "mrr": round(self.mrr, PLACES),
            f"recall_at_{CUTOFF}": round(self.recall, PLACES),
        }


@dataclass(frozen=True)
class Segment:
    """Figures over a segment of the stream: `until` is the share of the tested interactions up to its end."""

    until: float
    quality: Quality


@dataclass
class Outcome:
    """What one scorer did.

    Attributes:
        scorer: its name with the settings that were given.
        trial: what it was asked.
        ranks: (q,) a rank a tested interaction.
        seconds: how long that took, learning included.
        by_age: figures of the counted part with a state of each age.
    """

    scorer: str
    trial: Trial
    ranks: F64
    seconds: float
    by_age: list[tuple[Age, Quality]] = field(default_factory=list)

    @property
    def parts(self) -> dict[str, Quality]:
        """Figures of every part that tested something."""
        return {name: Quality.of(self.ranks[part]) for name, part in self.trial.parts.items() if len(self.ranks[part])}

    @property
    def counted(self) -> Quality:
        """Figures of the part that counts."""
        return self.parts[self.trial.counted]

    @property
    def segments(self) -> list[Segment]:
        """Figures over the stream, from its beginning to its end."""
        cut = np.array_split(self.ranks, min(STRETCHES, len(self.ranks)))
        ends = np.cumsum([len(part) for part in cut]) / len(self.ranks)
        return [Segment(end, Quality.of(part)) for end, part in zip(ends.tolist(), cut, strict=True)]

    def to_json(self) -> dict[str, Any]:
        """Return everything but the ranks."""
        return {
            "scorer": self.scorer,
            "seconds": round(self.seconds, 2),
            "parts": {name: quality.to_json() for name, quality in self.parts.items()},
            "stream": [{"until": round(s.until, PLACES), **s.quality.to_json()} for s in self.segments],
            "ages": [{"age": age.text, "mean_age_s": age.mean_s, **quality.to_json()} for age, quality in self.by_age],
        }


def report(trial: Trial, outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the outcomes of several scorers in one trial, as JSON has it."""
    log = trial.log
    return {
        "input": log.source,
        "protocol": trial.protocol,
        "interactions": len(log),
        "users": len(log.users),
        "items": len(log.items),
        "left_out": dict(log.left_out),
        "candidates": "items the user has not met" if trial.unseen_only else "all items",
        "ties": "mean rank",
        "counted": trial.counted,
        "scorers": [outcome.to_json() for outcome in outcomes],
    }
