"""Trials: which interactions are tested, what a scorer may know when it is asked, and which items compete.

A scorer is asked about interactions in order; before interaction p it has learnt the log's first `visible` ones.
`visible` never exceeds p and never falls, so one pass over the log serves a whole trial.

    tgb           as the Temporal Graph Benchmark tests tgbl-wiki: all items compete, seen or not. Split at the 70 % and
                  85 % quantiles of the times; what lies beyond the first is asked about, in two parts, val and test.
                  Visible: what happened strictly earlier, so not what happened in the same second.
    prequential   test, then learn, one interaction after the other. The items that the user has not met compete; an
                  interaction with one that the user has met is learnt and not tested. Visible: what stands before in
                  the log, which is in order of time, and within one time in that of the file.
    in_batches    a trial in which visible is what came before the batch of 200, as EdgeBank's figures were published
    aged          a trial in which the state is older than it need be: by a lag, or by being refreshed now and then

Sources: Huang et al., "Temporal Graph Benchmark for Machine Learning on Temporal Graphs", NeurIPS 2023 (tgbl-wiki:
MRR against all destinations); Gama, Sebastiao, Rodrigues, "On evaluating stream learning algorithms", Machine Learning
2013 (prequential).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from user_state.durations import SECOND_US, format_duration, parse_duration_us
from user_state.errors import InputError
from user_state.evaluation.interactions import I64, Interactions

VALIDATION_FROM, TEST_FROM = 0.70, 0.85
EDGEBANK_BATCH = 200


@dataclass(frozen=True)
class Trial:
    """What is asked.

    Attributes:
        protocol: `tgb` or `prequential`.
        log: the interactions.
        tested: (q,) positions in the log, ascending.
        visible: (q,) how many of the log's first interactions may be known; never more than `tested`, never falling.
        unseen_only: whether items that the user met at an earlier position are no candidates.
        parts: ranges of `tested` by name; the last one is what counts.
    """

    protocol: str
    log: Interactions
    tested: I64
    visible: I64
    unseen_only: bool
    parts: Mapping[str, slice]

    def __post_init__(self) -> None:
        if len(self.tested) == 0:
            raise InputError(f"expected interactions to test in {self.log.source}, got none; is the log too short?")

    @property
    def counted(self) -> str:
        """The part whose figures are the result."""
        return list(self.parts)[-1]

    def only(self, part: str) -> Trial:
        """Return the trial of one part; what comes before it is learnt, as ever."""
        chosen = self.parts[part]
        return replace(
            self,
            tested=self.tested[chosen],
            visible=self.visible[chosen],
            parts={part: slice(0, len(self.tested[chosen]))},
        )

    def last(self, count: int) -> Trial:
        """Return the trial of the last `count` questions of the part that counts; all of them if there are fewer."""
        part = self.only(self.counted)
        tested = part.tested[-count:]
        return replace(part, tested=tested, visible=part.visible[-count:], parts={self.counted: slice(0, len(tested))})


def tgb(log: Interactions) -> Trial:
    """Return the trial of the Temporal Graph Benchmark.

    Raises:
        InputError: nothing lies beyond the quantiles.
    """
    # numpy's quantile of the times, as TGB splits: interactions at the quantile itself are still on its near side.
    train_end, val_end = np.searchsorted(
        log.time_us, np.quantile(log.time_us, [VALIDATION_FROM, TEST_FROM]), side="right"
    ).tolist()
    tested = np.arange(train_end, len(log))
    parts = {"val": slice(0, val_end - train_end), "test": slice(val_end - train_end, len(tested))}
    if val_end == len(log) or val_end == train_end:
        raise InputError(
            f"expected interactions after the {VALIDATION_FROM:.0%} and {TEST_FROM:.0%} quantiles of the times in"
            f" {log.source}, got none: the log is too short, or its last times are all the same"
        )
    strictly_earlier = np.searchsorted(log.time_us, log.time_us[tested], side="left")
    return Trial("tgb", log, tested, strictly_earlier, False, parts)


def prequential(log: Interactions) -> Trial:
    """Return the trial of testing, then learning, every interaction with an item that is new to its user.

    Raises:
        InputError: the log is empty.
    """
    pair = log.user * len(log.items) + log.item
    _, first = np.unique(pair, return_index=True)
    tested = np.sort(first).astype(np.int64)
    return Trial("prequential", log, tested, tested, True, {"all": slice(0, len(tested))})


def in_batches(trial: Trial, size: int = EDGEBANK_BATCH) -> Trial:
    """Return the trial with what came before a batch of `size` for visible; batches begin where a part begins."""
    visible = trial.tested.copy()
    for part in trial.parts.values():
        tested = trial.tested[part]
        first = int(tested[0])
        visible[part] = np.maximum(first + (tested - first) // size * size, 0)
    return replace(trial, visible=visible)


@dataclass(frozen=True)
class Age:
    """How old the state is when it is read.

    Attributes:
        text: as people write it: `60s` is a lag, `0-10s` is a state refreshed every 10 s, so 0 to 10 s old.
        lag_us: interactions this old or younger are not in it.
        refreshed_us: it was read when the clock last stood at a multiple of this; 0 reads it anew each time.
    """

    text: str
    lag_us: int
    refreshed_us: int

    @classmethod
    def parse(cls, text: str) -> Age:
        """Return the age written as `text`.

        Raises:
            InputError: it is no age.

        >>> Age.parse("0-10s")
        Age(text='0-10s', lag_us=0, refreshed_us=10000000)
        >>> Age.parse("5m").lag_us
        300000000
        """
        refreshed = text.startswith("0-")
        try:
            duration_us = parse_duration_us(text.removeprefix("0-"))
        except ValueError:
            raise InputError(
                f"expected an age such as 60s or 6h, or 0-10s for a state refreshed, got {text!r}"
            ) from None
        return cls(text, 0, duration_us) if refreshed else cls(text, duration_us, 0)

    @property
    def mean_s(self) -> float:
        """Seconds, the mean one where it varies."""
        return (self.lag_us + self.refreshed_us / 2) / SECOND_US

    def __str__(self) -> str:
        return f"0-{format_duration(self.refreshed_us)}" if self.refreshed_us else format_duration(self.lag_us)


def aged(trial: Trial, age: Age) -> Trial:
    """Return the trial with a state of that age: nothing is visible that it was too early for."""
    at_us = trial.log.time_us[trial.tested]
    if age.refreshed_us:
        at_us = at_us // age.refreshed_us * age.refreshed_us
    visible = np.searchsorted(trial.log.time_us, at_us - age.lag_us, side="left")
    return replace(trial, visible=np.minimum(visible, trial.visible).astype(np.int64))
