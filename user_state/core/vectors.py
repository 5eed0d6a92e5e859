"""Decayed sums of item vectors at several half-lives (forward decay).

For each half-life H a vector S and a weight W, both as seen at a reference time T, the newest contributing event's:

    S = sum over events of w_i 2^-((T - t_i)/H) v_i        W = sum of |w_i| 2^-((T - t_i)/H)

Moving T forward multiplies both by one factor, so sums brought to the later T add up: late events, batches and merges
are exact, and nothing is written because time passed. The mean S/W does not depend on the reading time at all.
W takes the weights' absolute values, so that a negative weight pushes away and can never make W zero. The sum at the
time of reading is S 2^-((at - T)/H); read at a time before T it is S, as if at T.

Source: Cormode, Shkapenyuk, Srivastava, Xu, "Forward Decay: A Practical Time Decay Model for Streaming Systems",
ICDE 2009, section IV.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from user_state.core.events import F64, I64, Bool, Events
from user_state.core.hashed_vectors import hashed_vectors
from user_state.core.outputs import EmbeddingOutput
from user_state.core.pieces import Vectors
from user_state.core.plan import Plan
from user_state.core.weights import event_weights

F32 = npt.NDArray[np.float32]
ROUNDING = 1e-6
"""A sum no longer than this times its weight is what rounding left of opposites, and has no direction."""


@dataclass(frozen=True)
class DecayedSums:
    """The decayed sums of n users.

    Attributes:
        time_us: (n,) reference time T; 0 where there is nothing.
        weight: (n, half-lives) W.
        sums: (n, half-lives, dimensions) S.
    """

    time_us: I64
    weight: F64
    sums: F64

    @classmethod
    def empty(cls, users: int, half_lives: int, dimensions: int) -> DecayedSums:
        """Return sums of nothing for so many users."""
        return cls(
            np.zeros(users, np.int64),
            np.zeros((users, half_lives)),
            np.zeros((users, half_lives, dimensions)),
        )


def wanted_by(plan: Plan, vectors: Vectors, events: Events, matched: list[Bool]) -> tuple[Bool, F64]:
    """Return (mask, weights), each (m,): which events count, and how much."""
    wanted = matched[vectors.filter] & events.has(plan, vectors.of)
    if vectors.weighed_by is not None:
        return wanted, np.asarray(events.columns[vectors.weighed_by], np.float64)
    weight = event_weights(events, vectors.weight_field, vectors.weights)
    return wanted & (weight != 0), weight


def lift_vectors(plan: Plan, events: Events, matched: list[Bool]) -> tuple[DecayedSums, ...]:
    """Return for each of `plan.vectors` the decayed sums of a batch of events alone."""
    return tuple(_lift(plan, vectors, events, matched) for vectors in plan.vectors)


def _lift(plan: Plan, vectors: Vectors, events: Events, matched: list[Bool]) -> DecayedSums:
    lifted = DecayedSums.empty(len(events.users), len(vectors.half_lives_us), vectors.dimensions)
    wanted, weight = wanted_by(plan, vectors, events, matched)
    rows = np.flatnonzero(wanted)
    if len(rows) == 0:
        return lifted
    rows = rows[np.argsort(events.user[rows], kind="stable")]
    user, time_us, weight = events.user[rows], events.time_us[rows], weight[rows]
    np.maximum.at(lifted.time_us, user, time_us)
    heads = np.flatnonzero(np.concatenate(([True], user[1:] != user[:-1])))
    items, item_of_row = np.unique(events.columns[vectors.of][rows], return_inverse=True)
    direction = hashed_vectors([events.pool[code] for code in items], vectors.dimensions)[item_of_row]
    age_us = lifted.time_us[user] - time_us
    for position, half_life_us in enumerate(vectors.half_lives_us):
        share = weight * np.exp2(-age_us / half_life_us)
        lifted.weight[user[heads], position] = np.add.reduceat(np.abs(share), heads)
        lifted.sums[user[heads], position] = np.add.reduceat(share[:, None] * direction, heads, axis=0)
    return lifted


def join_vectors(
    plan: Plan, a: tuple[DecayedSums, ...], b: tuple[DecayedSums, ...], _clock_us: I64
) -> tuple[DecayedSums, ...]:
    """Return for each of `plan.vectors` the decayed sums of both, user by user."""
    return tuple(_join(vectors, of_a, of_b) for vectors, of_a, of_b in zip(plan.vectors, a, b, strict=True))


def _join(vectors: Vectors, a: DecayedSums, b: DecayedSums) -> DecayedSums:
    time_us = np.maximum(a.time_us, b.time_us)
    half_lives = np.array(vectors.half_lives_us, np.float64)
    keep_a, keep_b = (np.exp2(-((time_us - part.time_us)[:, None] / half_lives)) for part in (a, b))
    sums = keep_a[:, :, None] * a.sums + keep_b[:, :, None] * b.sums
    return DecayedSums(time_us, keep_a * a.weight + keep_b * b.weight, sums)


def read_vectors(plan: Plan, part: DecayedSums, output: EmbeddingOutput, at_us: int) -> F32:
    """Return (n, dimensions) one half-life's means, sums at `at_us`, or either's direction; zeros over nothing."""
    weight, sums = part.weight[:, output.half_life, None], part.sums[:, output.half_life]
    if output.unit:
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        read = np.divide(sums, length, out=np.zeros(sums.shape), where=length > ROUNDING * weight)
    elif output.of == "mean":
        read = np.divide(sums, weight, out=np.zeros(sums.shape), where=weight > 0)
    else:
        half_life_us = plan.vectors[output.vectors].half_lives_us[output.half_life]
        read = sums * np.exp2(-np.maximum(at_us - part.time_us, 0) / half_life_us)[:, None]
    vectors: F32 = read.astype(np.float32)
    return vectors
