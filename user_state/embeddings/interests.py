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

from user_state.embeddings.composing import Composing
from user_state.embeddings.interests_of_many import InterestsOfMany
from user_state.embeddings.interests_of_one import InterestsOfOne
from user_state.embeddings.item_vectors import F32
from user_state.plan.outputs import InterestsOutput
from user_state.state.events import F64, I64

FEW_USERS = 3
"""Up to so many users are quicker one by one."""
USERS_AT_ONCE = 256


@dataclass(frozen=True)
class Interests:
    """The interests of n users, the heaviest first; zeros where there are fewer than K.

    Attributes:
        vectors: (n, K, dimensions).
        weights: (n, K).
    """

    vectors: F32
    weights: F64


def find_interests(part: Composing, output: InterestsOutput, at_us: I64) -> Interests:
    """Return what the events that take part fall into; `at_us` is (n,)."""
    vectors = np.zeros((part.users, output.most, output.dimensions), np.float32)
    weights = np.zeros((part.users, output.most))
    liked = np.flatnonzero(part.weight > 0)
    user, time_us, weight, vector = part.user[liked], part.time_us[liked], part.weight[liked], part.vector[liked]
    lengths = np.sqrt((vector**2).sum(axis=1, keepdims=True))
    unit = vector / np.where(lengths > 0, lengths, 1.0)
    users, heads, counts = np.unique(user, return_index=True, return_counts=True)
    if len(users) <= FEW_USERS:
        for who, head, count in zip(users.tolist(), heads.tolist(), counts.tolist(), strict=True):
            one = InterestsOfOne(output)
            for row in range(head, head + count):
                one.take(int(time_us[row]), float(weight[row]), vector[row], unit[row])
            means, found = one.finish(int(at_us[who]))
            vectors[who, : len(found)], weights[who, : len(found)] = means, found
        return Interests(vectors, weights)
    # Who has most events comes first, so that those who have a k-th one stand together.
    order = np.argsort(-counts, kind="stable")
    for begin in range(0, len(order), USERS_AT_ONCE):
        some = order[begin : begin + USERS_AT_ONCE]
        many = InterestsOfMany(len(some), output)
        for step in range(int(counts[some[0]])):
            rows = heads[some[: np.count_nonzero(counts[some] > step)]] + step
            many.take(time_us[rows], weight[rows], vector[rows], unit[rows])
        vectors[users[some]], weights[users[some]] = many.finish(at_us[users[some]])
    return Interests(vectors, weights)
