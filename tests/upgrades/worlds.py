"""Hypothesis strategies: specs, the same specs changed in every way a spec can change, and a stream with replays."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from tests.random_worlds import (
    ACTIONS,
    EMBEDDINGS,
    SEQUENCES,
    TILES,
    WHERES,
    WINDOWS,
    composed,
    features,
    features_of,
)
from tests.trying import T0, D, H, M, S, event, spec_of
from user_state.errors import SpecError
from user_state.oracle import Arrival
from user_state.spec.aggregations import AGGREGATIONS

LATENESS = ("10m", "1h", "2d", "9d")
SKEWS = ("1s", "1m", "10m")
ZONES = ("UTC", "UTC", "Asia/Kathmandu")
SECTIONS = ("features", "sequences", "embeddings")
AGES = (0, 10 * S, 50 * S, 100 * S, 9 * M, 11 * M, 50 * M, 61 * M, 4 * H, 6 * H, 23 * H, 25 * H, 2 * D, 4 * D)
"""How old events are when their stage ends: to either side of the windows' lengths."""
EDGES = st.sampled_from([0, 0, 1, -1, S, 123_456])
EIGHTHS = st.one_of(st.none(), st.integers(-400, 400).map(lambda eighths: eighths / 8))
Parts = dict[str, Any]


@st.composite
def _features(draw: st.DrawFn) -> Parts:
    # Most are of an aggregation drawn from all alike; `features` has several in one.
    made = draw(features() if draw(st.integers(0, 3)) == 0 else features_of(draw(st.sampled_from(list(AGGREGATIONS)))))
    if draw(st.integers(0, 2)) or "value" in str(made.get("where")):
        made.pop("where", None)
    return made


ENTRIES = {
    "features": _features(),
    "sequences": SEQUENCES,
    "embeddings": st.one_of(EMBEDDINGS, composed()),
}


@st.composite
def parts(draw: st.DrawFn) -> Parts:
    """The parts of a spec: up to three features, a sequence and an embedding."""
    made: Parts = {"items": {"shelf": {"dimensions": 3}}, "tiles": {}}
    made["features"] = {f"f{n}": entry for n, entry in enumerate(draw(st.lists(_features(), min_size=1, max_size=3)))}
    made["sequences"] = {f"s{n}": entry for n, entry in enumerate(draw(st.lists(SEQUENCES, max_size=1)))}
    made["embeddings"] = {f"v{n}": entry for n, entry in enumerate(draw(st.lists(ENTRIES["embeddings"], max_size=1)))}
    made["timezone"], made["max_clock_skew"] = draw(st.sampled_from(ZONES)), draw(st.sampled_from(SKEWS))
    made["allowed_lateness"], made["retention"] = draw(st.sampled_from(LATENESS)), "400d"
    made["tiles"] = draw(tiles(made))
    return made


@st.composite
def tiles(draw: st.DrawFn, made: Parts) -> dict[str, str]:
    """Tile widths for some of the windows."""
    used = {window for feature in made["features"].values() for window in feature.get("windows", ())}
    return {window: width for window, width in TILES.items() if window in used and draw(st.integers(0, 3)) == 0}


@st.composite
def changed(draw: st.DrawFn, old: Parts) -> Parts:
    """The parts of a spec after a change: durations, sizes, filters, and what there is at all."""
    made = copy.deepcopy(old)
    for section in SECTIONS:
        for name in list(made[section]):
            what = draw(st.sampled_from(["keep", "keep", "sizes", "sizes", "sizes", "filter", "drop", "rename"]))
            if what == "drop":
                del made[section][name]
            elif what == "rename":
                made[section][f"{name}r"] = made[section].pop(name)
            elif what == "filter":
                made[section][name]["where"] = draw(WHERES.filter(lambda where: "value" not in str(where)))
            elif what == "sizes":
                _resize(draw, made[section][name])
        if draw(st.integers(0, 3)) == 0:
            made[section][f"{section[0] if section != 'embeddings' else 'v'}{draw(st.integers(5, 8))}"] = draw(
                ENTRIES[section]
            )
    if not any(made[section] for section in SECTIONS):
        made["features"]["f9"] = draw(_features())
    for key, among in (("allowed_lateness", LATENESS), ("max_clock_skew", SKEWS), ("timezone", ZONES)):
        if draw(st.integers(0, 2)) == 0:
            made[key] = draw(st.sampled_from(among))
    made["retention"] = draw(st.sampled_from(["400d", "30d"]))
    made["tiles"] = draw(tiles(made)) if draw(st.booleans()) else _still_used(made)
    return made


def _is_valid(made: Parts) -> bool:
    """Return whether the spec is one: a changed filter may contradict those of a ratio's parts."""
    try:
        spec_of(**_present(made))
    except SpecError:
        return False
    return True


def _present(made: Parts) -> Parts:
    return {key: value for key, value in made.items() if value != {} or key not in SECTIONS}


def _still_used(made: Parts) -> dict[str, str]:
    used = {window for feature in made["features"].values() for window in feature.get("windows", ())}
    return {window: width for window, width in made["tiles"].items() if window in used}


def _resize(draw: st.DrawFn, entry: Parts) -> None:
    """Change the durations and sizes of a feature, sequence or embedding that has any, one or several."""
    sizes: dict[str, st.SearchStrategy[Any]] = {
        "windows": st.lists(st.sampled_from(WINDOWS), min_size=1, max_size=4, unique=True),
        "half_life": st.lists(st.sampled_from(["1m", "1h", "7d"]), min_size=1, max_size=2, unique=True),
        "k": st.integers(1, 5),
        "cap": st.sampled_from([1, 2, 3, 65_535]),
        "keys": st.sampled_from([50, 10_000]),
        "gap": st.sampled_from(["1s", "10m", "1h", "1d"]),
        "last": st.integers(1, 6),
        "within": st.sampled_from(["1s", "90s", "1h", "2d"]),
        "storage": st.sampled_from(["float32", "float16"]),
        "error": st.sampled_from([0.1, 0.05]),
    }
    for key in sizes.keys() & entry.keys():
        if draw(st.booleans()):
            entry[key] = draw(sizes[key])


class Upgrade:
    """Specs one after another, and what each folds: new events and replays of earlier ones."""

    def __init__(self, listed: list[Parts], batches: list[list[list[Arrival]]]) -> None:
        """Take the parts of each spec, and the batches of each stage."""
        self.parts = listed
        self.specs = [spec_of(**_present(made)) for made in listed]
        self.batches = batches

    def __repr__(self) -> str:
        """Return what differs from one example to the next; specs and arrivals have too many parts to be read."""
        told = [f"spec {made}" for made in self.parts]
        for stage, batches in enumerate(self.batches):
            for arrival in (arrival for batch in batches for arrival in batch):
                made = {name: value for name, value in (arrival.event or {}).items() if value is not None}
                told.append(f"stage {stage}: {made} published {arrival.published_us}")
        return "\n".join(told)


@st.composite
def resized(draw: st.DrawFn) -> Upgrade:
    """One feature or sequence, and the same with other durations and sizes: what is most often changed."""
    old: Parts = {"items": {"shelf": {"dimensions": 3}}, "tiles": {}, **{section: {} for section in SECTIONS}}
    section = draw(st.sampled_from(["features", "features", "features", "sequences"]))
    old[section] = {"f0": draw(_features() if section == "features" else SEQUENCES)}
    new = copy.deepcopy(old)
    _resize(draw, new[section]["f0"])
    for made in (old, new):
        made["tiles"], made["allowed_lateness"] = draw(tiles(made)), draw(st.sampled_from(LATENESS))
    return Upgrade([old, new], draw(streams(2, 14)))


@st.composite
def upgrades(draw: st.DrawFn, stages: int, most: int = 14) -> Upgrade:
    """A spec changed so many times less one; the last of three is now and then the first again."""
    listed = [draw(parts())]
    while len(listed) < stages:
        back = len(listed) > 1 and draw(st.integers(0, 2)) == 0
        listed.append(listed[-2] if back else draw(changed(listed[-1]).filter(_is_valid)))
    return Upgrade(listed, draw(streams(stages, most)))


@st.composite
def streams(draw: st.DrawFn, stages: int, most: int) -> list[list[list[Arrival]]]:
    """The batches of each stage: new events, most in order of time, and a third of the earlier stages' once more."""
    batches: list[list[list[Arrival]]] = []
    sent: list[Arrival] = []
    now_us = T0
    for stage in range(stages):
        now_us += draw(st.sampled_from([0, M, H, D]))
        ages = draw(st.lists(st.tuples(st.sampled_from(AGES), EDGES), min_size=4, max_size=most))
        fresh = [
            draw(arrivals(f"{stage}-{number}", now_us - age_us + off_us))
            for number, (age_us, off_us) in enumerate(sorted(ages, key=lambda age: -age[0]))
        ]
        again = [_later(draw, arrival) for arrival in sent if draw(st.integers(0, 2)) == 0]
        mixed = draw(st.permutations([*fresh, *again])) if draw(st.integers(0, 3)) == 0 else [*fresh, *again]
        sent += fresh
        cut = draw(st.integers(0, len(mixed)))
        batches.append([mixed[:cut], mixed[cut:]])
    return batches


def _later(draw: st.DrawFn, arrival: Arrival) -> Arrival:
    return Arrival(arrival.event, (arrival.published_us or 0) + draw(st.sampled_from([0, 0, S, H])))


@st.composite
def arrivals(draw: st.DrawFn, name: str, time_us: int) -> Arrival:
    """A message of one of two users."""
    made = event(
        time_us,
        draw(st.sampled_from(["u", "u", "u", "v"])),
        f"id{name}",
        action=draw(st.sampled_from(ACTIONS[:2])),
        item_id=draw(st.sampled_from(["a", "b", "c\u0000", None])),
        value=draw(EIGHTHS),
        amount=draw(st.one_of(st.none(), st.integers(-50, 50))),
        bought=draw(st.sampled_from([None, True, False])),
    )
    return Arrival(made, time_us + draw(st.sampled_from([0, 0, 0, 0, S, M, H, -S])))
