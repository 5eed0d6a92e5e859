"""A user's decayed means, read from the record as a ranking service reads them, against the items' vectors.

    score(j) = v_j . sum over half-lives h of m_h,  m_h = S_h / W_h from the record

A mean for each half-life, and not the sums themselves: added naively, the sums of the longest half-life outvote the
others, which costs .05 of MRR on Wikipedia. With vectors drawn from the hash of the item's id the mean is a sketch of
the user's shares of decayed counts (`recent_items`), exact but for the inner products of different items' vectors.

Every score here comes from records: events are replayed as a pipeline folds them and a ranking service reads them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from user_state.embeddings.hashed_vectors import hashed_vectors
from user_state.errors import InputError
from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.own_spec import own_rows, own_spec
from user_state.evaluation.replay import LogReplay, Reading
from user_state.evaluation.scoring import Question
from user_state.plan.compile import compile_plan
from user_state.plan.outputs import EmbeddingOutput
from user_state.plan.plan import Plan
from user_state.state.events import EventRow


class RecordEmbedding:
    """Scores by the embeddings of a plan that have one name and several half-lives.

    Args:
        log: the interactions.
        plan: what the records hold.
        rows: the log as rows of that plan.
        name: the embedding's name in the spec.
    """

    def __init__(self, log: Interactions, plan: Plan, rows: Sequence[EventRow], name: str) -> None:
        outputs = [output for output in plan.embeddings if output.name.rpartition("_")[0] == name]
        if not outputs:
            known = sorted({output.name.rpartition("_")[0] for output in plan.embeddings})
            raise InputError(f"expected an embedding of the spec ({', '.join(known) or 'it has none'}), got {name!r}")
        if not all(isinstance(output, EmbeddingOutput) for output in outputs):
            raise InputError(f"expected an embedding over hash vectors, got {name}, over a table: see scorer composed")
        self._log = log
        self._outputs = [output.name for output in outputs]
        self._replay = LogReplay(plan, rows, log.source)
        self._vectors = hashed_vectors(log.items, outputs[0].dimensions)
        self._visible = 0
        self._foreseen: deque[tuple[Question, F64]] = deque()

    def foresee(self, questions: Sequence[Question]) -> None:
        """Read the records for all questions, folding what each of them may know and no more."""
        users = self._log.users
        readings = [Reading(users[question.user], question.at_us, question.visible) for question in questions]
        means = self._replay.embeddings(readings, self._outputs)
        self._foreseen = deque(zip(questions, means.sum(axis=1), strict=True))

    def learn(self, begin: int, end: int) -> None:
        """Note how much is visible; records are replayed when they are read."""
        self._visible = end

    def scores(self, user: int, at_us: int) -> F64:
        """Return the inner products with the sum of the means."""
        asked = Question(user, at_us, self._visible)
        if not self._foreseen:
            self.foresee([asked])
        question, vector = self._foreseen.popleft()
        if question != asked:
            raise ValueError(f"expected the question foreseen, {question}, got {asked}")
        scores: F64 = self._vectors @ vector
        return scores


def identity_sketch(
    log: Interactions, *, dimensions: int = 128, half_lives: str = "1m+1h+1d+7d", storage: str = "float32"
) -> RecordEmbedding:
    """Return the scorer of a spec of one embedding over the items' hash vectors.

    Raises:
        InputError, SpecError: settings that no spec could have.
    """
    declared = {
        "kind": "decayed_mean",
        "of": "item_id",
        "dimensions": dimensions,
        "half_life": half_lives.split("+"),
        "storage": storage,
    }
    plan = compile_plan(own_spec({"embeddings": {"sketch": declared}}))
    return RecordEmbedding(log, plan, own_rows(plan, log), "sketch")
