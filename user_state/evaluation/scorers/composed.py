"""Embeddings over a table, read from the record as a ranking service reads them, the table fitted anew now and then.

    score(j) = z_j . sum over half-lives h of e_h;    of interests the greatest over e_h of each, added up

e_h is what `features` composes of the last events that the record keeps and of one version of the table. Tables come
when `TableMean`'s do, fitted on what came before and on nothing else: the same vectors, from bytes that Redis would
hold instead of decayed counts in numpy. A reading is composed with the newest table whose fit it may know of. Until the
first table, and for users of whose items none has a vector, there is popularity.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from user_state.embeddings.cooccurrence import Fit, fit_vectors
from user_state.embeddings.table import ItemTable
from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.own_spec import own_rows, own_spec
from user_state.evaluation.replay import LogReplay, Reading
from user_state.evaluation.scorers.popularity import Popularity
from user_state.evaluation.scorers.table_mean import fits_until
from user_state.evaluation.scoring import Question
from user_state.plan.compile import compile_plan

TABLE = "catalogue"


class Composed:
    """Scores by embeddings over a table.

    Args:
        log: the interactions.
        kind: of embedding: decayed_mean, fold_in, interests, ...
        half_lives: durations with a plus between.
        last: how many events they are composed of.
        most: of interests.
        dimensions, reach, fade: of the table; see `Fit`.
        every: a new table after so many interactions; the first ones sooner, whenever the log has grown by half.
    """

    def __init__(
        self,
        log: Interactions,
        *,
        kind: str = "decayed_mean",
        half_lives: str = "10s+1m+10m",
        last: int = 50,
        most: int = 3,
        dimensions: int = 64,
        reach: int = 30,
        fade: float = 0.9,
        every: int = 5_000,
    ) -> None:
        self._log = log
        self._fit = Fit(dimensions=dimensions, reach=reach, fade=fade)
        self._fit.check()
        lives = half_lives.split("+")
        declared: dict[str, Any] = {"kind": kind, "of": "item_id", "vectors": TABLE, "half_life": lives, "last": last}
        if kind == "interests":
            declared["most"] = most
        plan = compile_plan(
            own_spec({"embeddings": {"composed": declared}, "items": {TABLE: {"dimensions": dimensions}}})
        )
        self._names = [output.name for output in plan.embeddings]
        self._replay = LogReplay(plan, own_rows(plan, log), log.source)
        self._popularity = Popularity(log)
        self._fits = fits_until(len(log), every)
        self._tables: dict[int, tuple[F64, ItemTable]] = {}
        self._visible = 0
        self._foreseen: deque[tuple[Question, F64 | None]] = deque()

    def foresee(self, questions: Sequence[Question]) -> None:
        """Read the records for all questions, each composed with the table that it may know of."""
        users = self._log.users
        self._foreseen.clear()
        begin = 0
        while begin < len(questions):
            number = self._number(questions[begin])
            end = begin
            while end < len(questions) and self._number(questions[end]) == number:
                end += 1
            asked = questions[begin:end]
            if number == 0:
                self._foreseen.extend((question, None) for question in asked)
            else:
                readings = [Reading(users[question.user], question.at_us, question.visible) for question in asked]
                composed = self._replay.embeddings(readings, self._names, {TABLE: self._table(number)[1]})
                self._foreseen.extend(zip(asked, composed, strict=True))
            begin = end

    def learn(self, begin: int, end: int) -> None:
        """Count for popularity, and note how much is visible; records are replayed when they are read."""
        self._popularity.learn(begin, end)
        self._visible = end

    def scores(self, user: int, at_us: int) -> F64:
        """Return the inner products with what was composed; popularity, where there is nothing."""
        asked = Question(user, at_us, self._visible)
        if not self._foreseen:
            self.foresee([asked])
        question, composed = self._foreseen.popleft()
        if question != asked:
            raise ValueError(f"expected the question foreseen, {question}, got {asked}")
        if composed is None or not composed.any():
            return self._popularity.scores(user, at_us)
        vectors = self._table(self._number(asked))[0]
        if composed.ndim == 2:
            scores: F64 = vectors @ composed.sum(axis=0)
            return scores
        each = vectors @ composed.transpose(0, 2, 1)  # (half-lives, items, interests)
        there = np.asarray(composed.any(axis=2))
        each = np.where(there[:, None, :], each, -np.inf)
        greatest = each.max(axis=2)
        return np.asarray(np.where(np.isfinite(greatest), greatest, 0.0).sum(axis=0))

    def _number(self, question: Question) -> int:
        """Return which table a question may know of, counted from 1; 0 for none."""
        return bisect_right(self._fits, question.visible)

    def _table(self, number: int) -> tuple[F64, ItemTable]:
        """Return the vectors of all items, zeros for those without one, and the table of those that have one."""
        if number not in self._tables:
            log, until = self._log, self._fits[number - 1]
            vectors = fit_vectors(log.user[:until], log.item[:until], len(log.items), self._fit)
            paired = np.flatnonzero(np.abs(vectors).max(axis=1) > 0)
            table = ItemTable([log.items[at] for at in paired.tolist()], vectors[paired].astype(np.float32))
            self._tables = {number - 1: self._tables[number - 1]} if number - 1 in self._tables else {}
            self._tables[number] = (vectors, table)
        return self._tables[number]
