"""What values of Beam's cache of state weigh, held to Beam's own answer."""

import pytest
from apache_beam.runners.worker import statecache

from beam_pipelines.beam_patches import state_sizes
from beam_pipelines.beam_patches.state_sizes import weigh
from beam_pipelines.beam_patches.versions import put_in_place

BEAMS_WEIGH = state_sizes._weigh_anything


def test_the_cache_weighs_by_it(monkeypatch):
    monkeypatch.setattr(statecache, "get_deep_size", BEAMS_WEIGH)
    put_in_place("state_sizes")
    assert statecache.get_deep_size is weigh


@pytest.mark.parametrize(
    "value", [[], [b""], [b"x" * 3000], [b"a", b"bc"], ["text"], [b"a", 1], b"bytes", {b"a": [b"b"]}]
)
def test_values_weigh_what_they_weigh_to_beam(value):
    assert weigh(value) == pytest.approx(BEAMS_WEIGH(value), abs=64)  # lists grow ahead of their elements


def test_what_beam_alone_can_weigh_is_left_to_it(monkeypatch):
    monkeypatch.setattr(state_sizes, "_weigh_anything", lambda *values: 77)
    assert weigh([1]) == 77
    assert weigh([b"1"]) != 77
