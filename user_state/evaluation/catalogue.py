"""Scorers by name, with settings as people type them: `recent`, `recent:keep=8,half_lives=1m+1h`.

A scorer's settings are the keyword parameters of what makes it, with their types and defaults.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from user_state.errors import InputError
from user_state.evaluation.interactions import Interactions
from user_state.evaluation.scorers.chance import Chance
from user_state.evaluation.scorers.composed import Composed
from user_state.evaluation.scorers.edgebank import EdgeBank
from user_state.evaluation.scorers.ials import Ials
from user_state.evaluation.scorers.isgd import Isgd
from user_state.evaluation.scorers.item_knn import ItemKnn
from user_state.evaluation.scorers.learned_items import LearnedItems
from user_state.evaluation.scorers.mixture import Mixture
from user_state.evaluation.scorers.popularity import Popularity
from user_state.evaluation.scorers.projection import Projection
from user_state.evaluation.scorers.recent_items import RecentItems
from user_state.evaluation.scorers.record_embedding import RecordEmbedding, identity_sketch
from user_state.evaluation.scorers.reference_sketch import ReferenceSketch
from user_state.evaluation.scorers.table_mean import TableMean
from user_state.evaluation.scorers.transitions import Transitions
from user_state.evaluation.scoring import Scorer
from user_state.evaluation.trials import EDGEBANK_BATCH, Trial, in_batches
from user_state.plan.plan import Plan

SCORERS: Mapping[str, Callable[..., Scorer]] = {
    "chance": Chance,
    "popularity": Popularity,
    "edgebank": EdgeBank,
    "transitions": Transitions,
    "knn": ItemKnn,
    "isgd": Isgd,
    "ials": Ials,
    "table": TableMean,
    "composed": Composed,
    "projection": Projection,
    "learned": LearnedItems,
    "sketch": identity_sketch,
    "sketch_reference": ReferenceSketch,
    "recent": RecentItems,
    "mixture": Mixture,
}
OF_SPEC = "spec"
"""`spec:NAME` is the embedding NAME of the spec that the log was read with."""
BASELINES = {
    "tgb": ("chance", "popularity", "edgebank", "transitions", "recent", "recent:keep=8", "sketch", "mixture"),
    "prequential": (
        "chance",
        "popularity",
        "transitions",
        "transitions:last=3",
        "isgd",
        "ials",
        "knn",
        "knn:reach=30",
        "projection",
        "learned",
        "table",
        "table:dimensions=128",
    ),
}
"""What is measured if nobody says what."""
_TRUTH = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class Choice:
    """A scorer somebody asked for.

    Attributes:
        text: as it was typed.
        name: of the scorer.
        settings: those that were given.
    """

    text: str
    name: str
    settings: Mapping[str, Any]

    @classmethod
    def parse(cls, text: str) -> Choice:
        """Return the choice written as `text`.

        Raises:
            InputError: no such scorer or setting, or a value of another type; says what there is.

        >>> Choice.parse("recent:keep=8,half_lives=1m+1h").settings
        {'keep': 8, 'half_lives': '1m+1h'}
        """
        name, _, rest = text.partition(":")
        if name == OF_SPEC:
            if not rest:
                raise InputError(f"expected spec:NAME, NAME being an embedding of the spec, got {text!r}")
            return cls(text, name, {"name": rest})
        if name not in SCORERS:
            raise InputError(f"expected a scorer of {', '.join(SCORERS)} or spec:NAME, got {name!r}")
        types = settings_of(name)
        settings: dict[str, Any] = {}
        for part in rest.split(",") if rest else ():
            setting, equals, value = part.partition("=")
            if setting not in types or not equals:
                raise InputError(
                    f"expected settings of {name} such as {next(iter(types), 'none')}=...: it has"
                    f" {', '.join(types) or 'none'}; got {part!r}"
                )
            settings[setting] = _value(name, setting, value, types[setting])
        return cls(text, name, settings)

    def make(self, log: Interactions, plan: Plan | None = None) -> Scorer:
        """Return a new scorer for the log, read with the spec of `plan` if there is one.

        Raises:
            InputError: the settings do not fit, or the spec's embedding is asked for and there is no spec.
        """
        if self.name == OF_SPEC:
            if plan is None or log.rows is None:
                raise InputError(f"expected --spec for {self.text}, got none")
            return RecordEmbedding(log, plan, log.rows, self.settings["name"])
        return SCORERS[self.name](log, **self.settings)

    def trial(self, trial: Trial) -> Trial:
        """Return the trial as this scorer takes it: in TGB, EdgeBank learns in batches, as it did when published."""
        return in_batches(trial, EDGEBANK_BATCH) if self.name == "edgebank" and trial.protocol == "tgb" else trial


def settings_of(name: str) -> dict[str, type]:
    """Return the settings of a scorer that can be typed, with their types."""
    parameters = inspect.signature(SCORERS[name], eval_str=True).parameters.values()
    return {
        p.name: p.annotation for p in parameters if p.kind is p.KEYWORD_ONLY and p.annotation in (int, float, str, bool)
    }


def _value(name: str, setting: str, text: str, kind: type) -> Any:
    try:
        if kind is bool:
            return _TRUTH[text.lower()]
        return kind(text)
    except (KeyError, ValueError):
        words = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
        raise InputError(f"expected {words[kind]} for {setting} of {name}, got {text!r}") from None
