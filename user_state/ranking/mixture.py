"""An online mixture of experts: which of several ways to score is right is learnt from what users do next.

    p(j) = sum over m of w_m p_m(j);    after item i came:  w_m <- (1 - rate) w_m + rate w_m p_m(i) / p(i)

An expert is a probability over the candidates: a user's shares of recent items at one half-life, a popularity, chance.
The update is one step of expectation maximisation: an expert gains by its share of the credit; weights stay positive
and add up to 1. Weights are kept apart for each context, by default how long ago the user's last event was, in powers
of four seconds: after a pause of days people come back to something else than after ten seconds.

    ranker = OnlineMixture(["recent_1m", "recent_1h", "recent_1d"])
    batch = client.get_many(users)
    experts = recent_experts(batch, ranker.experts, items)        # (users, experts + 1, items), the last being chance
    contexts = pause_contexts(batch)
    scores = ranker.scores(experts, contexts)                     # (users, items)
    ranker.learn(experts[0, :, chosen], contexts[0])              # once user 0 has chosen an item of them

Score first and learn afterwards, with what was known when it was scored. It depends on the order of what is learnt, as
every learner does: it is a ranker's state and not a user's, and no part of any record.

Source: Cappe, Moulines, "On-line expectation-maximization algorithm for latent data models", JRSS B 2009, for mixture
weights alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from user_state.durations import SECOND_US
from user_state.errors import InputError
from user_state.results import UserStateBatch

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
CHANCE = "chance"
CONTEXTS = 16
NO_CONTEXT = CONTEXTS
"""Of users without an event; the last context."""
PAUSE_BASE = 4.0
RATE = 0.002


def credited(weights: F64, probability: F64, rate: float) -> F64:
    """Return (experts,) weights after an item came to which the experts gave `probability` (experts,).

    >>> credited(np.array([0.5, 0.5]), np.array([0.3, 0.1]), 0.5)
    array([0.625, 0.375])
    """
    total = float(weights @ probability)
    if not total > 0:
        return weights
    new: F64 = weights * ((1 - rate) + rate * probability / total)
    return new


def pause_context(pause_us: int) -> int:
    """Return the context of a user whose last event was so long ago.

    >>> [pause_context(seconds * 1_000_000) for seconds in (0, 3, 60, 86_400)]
    [0, 1, 2, 8]
    """
    return min(int(math.log(1 + max(pause_us, 0) / SECOND_US, PAUSE_BASE)), CONTEXTS - 1)


def pause_contexts(batch: UserStateBatch) -> I64:
    """Return (users,) the context of each user of a batch."""
    pauses = [pause_context(batch.as_of_us - last_us) if last_us else NO_CONTEXT for last_us in batch.last_event_us]
    return np.array(pauses, np.int64)


def recent_experts(batch: UserStateBatch, outputs: Sequence[str], items: Sequence[str]) -> F64:
    """Return (users, outputs + 1, items) each user's shares of candidates, and chance.

    Args:
        batch: what the client read.
        outputs: of `recent_items` embeddings, such as `recent_1h`.
        items: the candidates, each once.

    Raises:
        InputError: an output is none of recent items, or a candidate stands twice.
    """
    place = {item: at for at, item in enumerate(items)}
    if len(place) != len(items):
        raise InputError("expected each candidate once")
    experts = np.zeros((len(batch), len(outputs) + 1, len(items)))
    experts[:, -1] = 1 / max(len(items), 1)
    for row, output in enumerate(outputs):
        padded = batch.sequences.get(output)
        if padded is None or "share" not in padded.columns:
            raise InputError(f"expected an output of recent_items, such as recent_1h, got {output!r}")
        listed = next(column for name, column in padded.columns.items() if name not in ("count", "share"))
        for user, length in enumerate(padded.length.tolist()):
            for item, share in zip(listed[user, :length], padded.columns["share"][user, :length], strict=True):
                at = place.get(item)
                if at is not None:
                    experts[user, row, at] = share
    return experts


class OnlineMixture:
    """Weights of experts, a set for each context; not to be changed by two threads at once.

    Args:
        experts: their names; chance is added as the last.
        rate: how fast the weights follow, between 0 and 1.

    Raises:
        InputError: the settings are none.
    """

    def __init__(self, experts: Sequence[str], *, rate: float = RATE) -> None:
        if not 0 < rate < 1:
            raise InputError(f"expected a rate between 0 and 1, got {rate}")
        if len(set(experts)) != len(experts) or not experts or CHANCE in experts:
            raise InputError(f"expected names of experts, each once and none {CHANCE!r}, got {list(experts)}")
        self.experts = tuple(experts)
        self.rate = rate
        self.weights = np.full((CONTEXTS + 1, len(experts) + 1), 1 / (len(experts) + 1))

    def scores(self, experts: F64, contexts: I64) -> F64:
        """Return (users, items) the mixture's probabilities of experts' (users, experts + 1, items)."""
        mixed: F64 = np.einsum("ue,uei->ui", self.weights[contexts], experts)
        return mixed

    def learn(self, probability: F64, context: int) -> None:
        """Credit the experts, chance being the last, for what they gave (experts + 1,) to the item that came.

        Raises:
            InputError: of another shape, not finite, or negative.
        """
        given = np.asarray(probability, np.float64)
        if given.shape != self.weights.shape[1:] or not (np.isfinite(given) & (given >= 0)).all():
            raise InputError(f"expected a probability for each of {self.weights.shape[1]} experts, got {given}")
        self.weights[context] = credited(self.weights[context], given, self.rate)

    def to_json(self) -> str:
        """Return the weights as JSON, to be kept from one start of the service to the next."""
        return json.dumps({"experts": self.experts, "rate": self.rate, "weights": self.weights.tolist()})

    @classmethod
    def from_json(cls, text: str) -> OnlineMixture:
        """Return what `to_json` wrote.

        Raises:
            InputError: it did not.
        """
        try:
            held = json.loads(text)
            mixture = cls(held["experts"], rate=held["rate"])
            weights = np.array(held["weights"], np.float64)
        except (KeyError, TypeError, ValueError) as exc:
            raise InputError(f"expected a mixture as JSON, got {text[:80]!r}") from exc
        if weights.shape != mixture.weights.shape or not (np.isfinite(weights) & (weights >= 0)).all():
            raise InputError(f"expected weights of {mixture.weights.shape}, got {weights.shape}, or not all positive")
        mixture.weights = weights
        return mixture
