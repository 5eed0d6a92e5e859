"""A section that an event changes nothing of is copied as it stands; one that the clock changes is not."""

from __future__ import annotations

import pytest

from tests.fuzz.envelope import resealed, sections_of, with_sections
from tests.packed import apply
from tests.trying import T0, D, H, M, S, batch, event, fold_all, plan_of, record_of

VIEWS = {"where": {"action": "view"}, "windows": ["1h", "1d", "lifetime"]}
FEATURES = {
    "tiles": {"tiles": {"aggregate": ["count", "max"], "of": "value", **VIEWS}},
    "hlls": {"hlls": {"aggregate": "approx_distinct", "of": "item_id", "error": 0.1, **VIEWS}},
    "klls": {"klls": {"aggregate": "approx_quantiles", "of": "value", "quantiles": [0.5], "error": 0.1, **VIEWS}},
    "decays": {
        "decays": {"aggregate": "decayed_sum", "of": "value", "where": {"action": "view"}, "half_life": ["1h", "1d"]}
    },
    "profiles": {"profiles": {"aggregate": "hour_of_day", "where": {"action": "view"}, "half_life": "1d"}},
}
VIEWED = [event(T0 + n * 7 * S, action="view", item_id=f"i{n % 60}", value=n / 7) for n in range(300)]


def section(blob: bytes, name: str) -> bytes:
    return dict(sections_of(blob))[name.encode()]


def plan_with(name: str):
    likes = {"likes": {"aggregate": "last", "of": "value", "where": {"action": "like"}, "windows": ["1h"]}}  # in logs
    return plan_of(features={**FEATURES[name], **likes}, allowed_lateness="1d")


@pytest.mark.parametrize("name", FEATURES)
@pytest.mark.parametrize("later_us", [0, 1, S, 59 * S, M, 10 * M, H, H + 31 * M, 25 * H, 3 * D])
def test_an_event_that_a_family_does_not_want_makes_the_record_that_all_events_at_once_make(name, later_us):
    plan = plan_with(name)
    like = event(T0 + 2100 * S + later_us, action="like")
    step_by_step, at_once = fold_all(plan, [VIEWED, [like]]), fold_all(plan, [[*VIEWED, like]])
    for place in dict(sections_of(at_once.blobs[0])):
        if name not in ("decays", "profiles", "klls"):  # those say the same in other last bits, or other samples
            assert section(step_by_step.blobs[0], place.decode()) == section(at_once.blobs[0], place.decode())
    viewed = record_of(plan, VIEWED)
    if later_us == 0 or name in ("decays", "profiles"):
        assert section(step_by_step.blobs[0], name) == section(viewed.blobs[0], name)
    if later_us >= 25 * H and name in ("tiles", "hlls"):
        assert section(step_by_step.blobs[0], name) != section(viewed.blobs[0], name)


def test_the_clock_alone_rolls_sketches_of_numbers_up():
    plan = plan_with("klls")
    viewed = record_of(plan, VIEWED)
    soon, late = (apply(plan, viewed, batch(plan, [event(at, action="like")])) for at in (T0 + 35 * M, T0 + 3 * D))
    assert section(soon.blobs[0], "klls") == section(viewed.blobs[0], "klls")
    assert len(section(late.blobs[0], "klls")) < len(section(viewed.blobs[0], "klls"))


def test_a_section_that_no_writer_wrote_is_refused_once_somebody_looks_at_it():
    """Folding a like does not look at the views' sketches; folding a view does."""
    plan = plan_with("klls")
    (blob,) = record_of(plan, VIEWED).blobs
    sections = [(name, held[:-1] if name == b"klls" else held) for name, held in sections_of(blob)]
    broken = type(record_of(plan, VIEWED))(plan, [resealed(with_sections(blob, sections))])
    copied = apply(plan, broken, batch(plan, [event(T0 + 35 * M, action="like")]))
    assert section(copied.blobs[0], "klls") == dict(sections)[b"klls"]
    with pytest.raises(AssertionError, match="invalid section klls"):
        apply(plan, copied, batch(plan, [event(T0 + 35 * M, action="view", value=1.0)]))
