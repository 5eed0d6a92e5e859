"""The compiled core refuses kinds that it does not know by name, whoever has checked them before."""

import dataclasses

import pytest

from tests.trying import plan_of
from user_state.native import Folding, ReadingProgram
from user_state.plan.layout import KeyedDecayLayout, KeyedTrackLayout, Layout, LogLayout, TrackLayout
from user_state.plan.reading_program import compile_program

PLAN = plan_of(features={"f": {"aggregate": ["count", "sum"], "of": "value", "windows": ["1h"]}})


@pytest.mark.parametrize(
    "layout",
    [
        Layout(tracks=(TrackLayout("t", "median"),)),
        Layout(logs=(LogLayout("l", (("a", "decimal"),)),)),
        Layout(keyed_tiles=(KeyedTrackLayout("k", ("decimal",), sums=False),)),
        Layout(keyed_decays=(KeyedDecayLayout("d", ("string", "decimal")),)),
    ],
    ids=["tiles", "logs", "keyed tiles", "keyed decays"],
)
def test_a_layout_with_a_kind_of_a_newer_release_is_refused_by_name(layout):
    folding = Folding(PLAN)
    folding.add_layout(PLAN.layout)
    with pytest.raises(ValueError, match=r'a kind that this release knows, got "(median|decimal)"'):
        folding.add_layout(layout)


def test_a_plan_with_a_field_of_an_unknown_kind_is_refused_by_name():
    fields = tuple(dataclasses.replace(field, kind="decimal") for field in PLAN.fields)
    with pytest.raises(ValueError, match='expected a field of a kind that this release knows, got "decimal"'):
        Folding(dataclasses.replace(PLAN, fields=fields))


def test_reading_tiles_of_an_unknown_kind_is_refused_by_name():
    described = {**compile_program(PLAN, whole=True).described, "layout": PLAN.layout.fingerprint}
    ReadingProgram(described)
    with pytest.raises(ValueError, match='expected tiles of a kind that this release knows, got "median"'):
        ReadingProgram({**described, "tracks": ["median"] * len(described["tracks"])})
