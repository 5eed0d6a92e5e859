"""Learned item vectors, from records: what the item stage of the pipeline has folded by then, and the user's own log.

    score(j) = (1 + W_j)^lift  z_j . sum over the user's last items k, the d-th last one, of fade_read^(d-1) z_k

Events go through the fold of users and the item stage before it (user_state/item_stage.py) one by one; z_j and W_j are
read from the bytes of items' records, the last items from the bytes of the user's.
"""

from __future__ import annotations

import numpy as np

from user_state.durations import parse_duration_us
from user_state.embeddings.learned_vectors import learned_vectors
from user_state.embeddings.spread import item_of_part
from user_state.errors import InputError
from user_state.evaluation.interactions import F64, Interactions
from user_state.evaluation.memory_store import MemoryStore
from user_state.evaluation.own_spec import own_rows, own_spec
from user_state.fold import Folder
from user_state.item_stage import ItemStage
from user_state.plan.compile import compile_plan
from user_state.plan.compile.learned import item_plan
from user_state.reading.features import Reader
from user_state.state.histories import SumsReader
from user_state.state.records import PackedRecords

TABLE, LAST = "together", "last"


class LearnedItems:
    """Scores by learned item vectors.

    Args:
        log: the interactions.
        dimensions, reach, half_life: of the learned table, as in a spec.
        last: how many of a user's last items are read.
        fade_read: how much less each older one counts.
        lift: how much popularity counts.
    """

    def __init__(
        self,
        log: Interactions,
        *,
        dimensions: int = 128,
        reach: int = 10,
        half_life: str = "1m",
        last: int = 30,
        fade_read: float = 0.8,
        lift: float = 0.1,
    ) -> None:
        try:
            parse_duration_us(half_life)
        except ValueError as exc:
            raise InputError(f"expected a half-life such as 1m, got {half_life!r}") from exc
        # One process folds, so nothing is gained by spreading; how far items are spread changes no vector.
        learned = {"of": "item_id", "reach": reach, "half_life": half_life, "spread": 1}
        parts = {
            "sequences": {LAST: {"fields": ["item_id"], "last": last}},
            "items": {TABLE: {"dimensions": dimensions, "learned": learned}},
        }
        self._plan = compile_plan(own_spec(parts))
        self._items_plan = item_plan(self._plan, self._plan.learned[0])
        self._learned = self._plan.learned[0]
        self._rows = own_rows(self._plan, log)
        self._log = log
        self._code = {item: code for code, item in enumerate(log.items)}
        self._users, self._items = MemoryStore(), MemoryStore()
        stage = ItemStage(self._plan, lambda _: self._items)
        stage.start()
        self._folder = Folder(self._plan, self._users, before_write=stage.learn)
        self._folder.start()
        self._reader = Reader(self._plan, PackedRecords(self._plan, self._users))
        self._sums = SumsReader(self._items_plan, PackedRecords(self._items_plan, self._items))
        self._fading = fade_read ** np.arange(last)
        self._lift = lift
        self._unit = np.zeros((len(log.items), dimensions))
        self._popular = np.ones(len(log.items))

    def learn(self, begin: int, end: int) -> None:
        """Fold, and read the items that have changed."""
        if begin == end:
            return
        self._folder.fold(self._rows[begin:end])
        changed = self._items.take_replaced()
        if changed:
            # Of one part each.
            sums, _ = self._sums.read([stored.record for stored in self._items.read(changed)])
            at_us, forget_us = int(self._log.time_us[end - 1]), self._learned.forget_us
            unit, weight = learned_vectors(sums, np.arange(len(changed)), len(changed), at_us, forget_us)
            codes = [self._code[item_of_part(name)] for name in changed]
            self._unit[codes] = unit
            self._popular[codes] = (1 + weight) ** self._lift

    def scores(self, user: int, at_us: int) -> F64:
        """Return the inner products with the user's vector; popularity, for who did nothing yet."""
        stored = self._users.read([self._log.users[user]])[0]
        recent = self._reader.features([stored.record], at_us).sequences[LAST]
        count = int(recent.length[0])
        if count == 0:
            return self._popular
        codes = [self._code[item] for item in recent.columns["item_id"][0, :count].tolist()]
        vector = self._fading[:count] @ self._unit[codes]
        scores: F64 = self._unit @ vector * self._popular
        return scores
