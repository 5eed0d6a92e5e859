"""Scorers as people type them."""

from __future__ import annotations

import pytest

from tests.logs import random_log
from user_state.errors import InputError
from user_state.evaluation.catalogue import BASELINES, SCORERS, Choice, settings_of
from user_state.evaluation.trials import in_batches, prequential, tgb


def test_every_default_is_a_scorer_and_every_scorer_can_be_made() -> None:
    log = random_log(1)
    for text in {*SCORERS, *(text for texts in BASELINES.values() for text in texts)}:
        small = {"table": "table:dimensions=4", "table:dimensions=128": "table:dimensions=5"}.get(text, text)
        Choice.parse(small).make(log)


def test_settings_take_the_types_of_their_parameters() -> None:
    typed = Choice.parse("mixture:rate=0.01,context=no,keep=8,half_lives=1m+1h")
    assert typed.settings == {"rate": 0.01, "context": False, "keep": 8, "half_lives": "1m+1h"}
    assert "counts" not in settings_of("mixture"), "what cannot be typed is no setting"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resent", r"expected a scorer of chance, .* or spec:NAME, got 'resent'"),
        ("recent:kep=8", r"expected settings of recent .*it has half_lives, keep, .*; got 'kep=8'"),
        ("recent:keep", r"got 'keep'"),
        ("recent:keep=", r"expected a whole number for keep of recent, got ''"),
        ("recent:keep=many", r"expected a whole number for keep of recent, got 'many'"),
        ("mixture:rate=fast", r"expected a number for rate"),
        ("mixture:context=maybe", r"expected true or false for context"),
        ("edgebank:x=1", r"it has none"),
        ("spec:", r"expected spec:NAME"),
    ],
)
def test_what_is_no_choice_is_refused_with_what_there_is(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Choice.parse(text)


def test_an_embedding_of_a_spec_needs_a_spec() -> None:
    with pytest.raises(InputError, match="expected --spec for spec:taste, got none"):
        Choice.parse("spec:taste").make(random_log(0))


def test_edgebank_alone_learns_in_batches_and_only_in_tgb() -> None:
    log = random_log(1)
    edgebank, other = Choice.parse("edgebank"), Choice.parse("chance")
    assert edgebank.trial(tgb(log)).visible.tolist() == in_batches(tgb(log), 200).visible.tolist()
    assert edgebank.trial(prequential(log)).visible.tolist() == prequential(log).visible.tolist()
    assert other.trial(tgb(log)).visible.tolist() == tgb(log).visible.tolist()
