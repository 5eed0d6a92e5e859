"""A user's several interests: at most K centroids of the last events, found anew at every reading.

Events are taken in order of (time, id), those of a weight above 0. Of each, z is the vector and w the weight:

    nearest   the centroid with the greatest cosine to z, of equals the oldest
    joins     it, if the cosine is at least `threshold`
    founds    a centroid, if there are fewer than K; else in the place of the lightest one, if that weighs less than w
    joins     the nearest one otherwise

Before an event is placed, centroids that by then weigh less than FORGOTTEN are no more.

A centroid is a decayed sum S of w z with a decayed weight W; it is read as S/W, with W decayed up to the moment of
reading (the newest event, if that is later). Centroids are given by weight, the heaviest first, of equals the oldest.

Which centroid an event joins depends on the order of events, so none of this is kept: computed from the log, in the
order that the log has, it is a function of the set of events. Cosines are compared in steps of 1e-6 and weights in
single precision, so that rounding decides nothing.

Source: Pal et al., "PinnerSage: Multi-modal user embedding framework for recommendations at Pinterest", KDD 2020, for
several medoids a user instead of one mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from user_state.core.composing import Composing
from user_state.core.events import F64, I64
from user_state.core.item_vectors import F32
from user_state.core.logs import older_rows
from user_state.core.plan import InterestsOutput

STEPS = 1e6
FORGOTTEN = 1e-200
NEVER = np.iinfo(np.int64).max


@dataclass(frozen=True)
class Interests:
    """The interests of n users, the heaviest first; zeros where there are fewer than K.

    Attributes:
        vectors: (n, K, dimensions).
        weights: (n, K).
    """

    vectors: F32
    weights: F64


def find_interests(part: Composing, output: InterestsOutput, at_us: int) -> Interests:
    """Return what the events that take part fall into."""
    most, dimensions = output.most, output.dimensions
    sums, weights = np.zeros((part.users, most, dimensions)), np.zeros((part.users, most))
    born: I64 = np.full((part.users, most), NEVER)
    as_of_us = np.zeros(part.users, np.int64)
    liked = np.flatnonzero(part.weight > 0)
    user, time_us, weight, vector = part.user[liked], part.time_us[liked], part.weight[liked], part.vector[liked]
    turn = older_rows(user)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = np.nan_to_num(vector / np.sqrt((vector**2).sum(axis=1, keepdims=True)))
    for step in range(int(turn.max(initial=-1)) + 1):
        rows = np.flatnonzero(turn == step)
        who = user[rows]
        keep = np.exp2(-(time_us[rows] - as_of_us[who]) / output.half_life_us)
        sums[who] *= keep[:, None, None]
        weights[who] *= keep[:, None]
        as_of_us[who] = time_us[rows]
        born[who] = np.where(weights[who] < FORGOTTEN, NEVER, born[who])
        place = _place(output, sums[who], weights[who], born[who], unit[rows], weight[rows])
        new = place < 0
        place = np.where(new, -1 - place, place)
        sums[who[new], place[new]] = 0
        weights[who[new], place[new]] = 0
        born[who[new], place[new]] = step
        sums[who, place] += weight[rows, None] * vector[rows]
        weights[who, place] += weight[rows]
    there = born < NEVER
    weights = np.where(there, weights, 0.0)
    means = np.where(there[:, :, None], sums / np.where(there, weights, 1.0)[:, :, None], 0.0)
    fade = np.exp2(-np.maximum(at_us - as_of_us, 0) / output.half_life_us)
    order = np.lexsort((born, -weights.astype(np.float32)), axis=1)
    means = np.take_along_axis(means, order[:, :, None], axis=1)
    return Interests(means.astype(np.float32), np.take_along_axis(weights, order, axis=1) * fade[:, None])


def _place(output: InterestsOutput, sums: F64, weights: F64, born: I64, unit: F64, weight: F64) -> I64:
    """Return (m,) the centroid that each event joins, or -1 - the one that it founds anew.

    Args:
        output: the settings.
        sums: (m, K, dimensions) of the events' users.
        weights: (m, K).
        born: (m, K).
        unit: (m, dimensions) directions of the events' vectors.
        weight: (m,) of the events.
    """
    there = born < NEVER
    means = sums / np.where(there, weights, 1.0)[:, :, None]  # of old sums the squares would be too small for a double
    lengths = np.sqrt((means**2).sum(axis=2))
    cosine = (means @ unit[:, :, None])[:, :, 0] / np.where(lengths > 0, lengths, np.inf)
    stepped = np.where(there, np.rint(cosine * STEPS), -np.inf)
    # The oldest of the nearest, and of the lightest; those that are not there come after all that are.
    nearest = np.lexsort((born, -stepped), axis=1)[:, 0]
    light = np.where(there, weights, np.inf).astype(np.float32)
    lightest = np.lexsort((born, light), axis=1)[:, 0]
    every = np.arange(len(sums))
    near = stepped[every, nearest] >= np.rint(output.threshold * STEPS)
    room = ~there.all(axis=1)
    free = np.argmin(there, axis=1)
    gives_way = light[every, lightest] < weight.astype(np.float32)
    return np.where(near, nearest, np.where(room, -1 - free, np.where(gives_way, -1 - lightest, nearest)))
