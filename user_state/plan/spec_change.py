"""What becomes of records when the spec changes, in the words of the spec: what migration does, said beforehand.

An output whose definition is kept is exact at once if the record kept enough for it (user_state/plan/kept.py). Where it
did not, because its window became longer or its tiles finer, or it reads more events than were kept, the output
**fills**: it reads what was kept and what came since, and is exact from the time said on. An output of a new definition
starts empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from user_state.durations import format_duration
from user_state.plan.kept import Kept
from user_state.plan.layout import TIME_KIND, Layout
from user_state.plan.needs import Need, needs_of
from user_state.plan.plan import Plan

LONGER = "it misses what was no longer kept"
MIXED = "a part of it starts empty"
UNKNOWN = "how much was kept is not known"


def changes(plan: Plan, layout: Layout) -> tuple[list[str], list[str]]:
    """Return (definitions that start empty, definitions that are dropped) when records of `layout` are taken over."""
    old, new = layout.keys, plan.layout.keys
    return sorted(new - old), sorted(old - new)


@dataclass(frozen=True)
class Fill:
    """An output that a changed spec cannot answer exactly at once.

    Attributes:
        after_us: it is exact from this long after the change at the latest, give or take the tile width and clock skew;
            None where no time can be said.
        why: what it lacks until then.
    """

    after_us: int | None
    why: str

    def __str__(self) -> str:
        if self.after_us is None:
            return self.why
        return f"exact from {format_duration(self.after_us)} after the change; until then {self.why}"


@dataclass(frozen=True)
class SpecChange:
    """What a plan makes of records of another layout.

    Attributes:
        keeps: the features, sequences and embeddings whose state goes on.
        partly: those of whose state a part goes on, and the rest starts empty.
        starts: those whose state starts empty, and the single outputs that start empty of those kept in part.
        widens: sequences and lists with fields that are null in what is there already: "name: field, field".
        fills: outputs that are incomplete at first: "name (until when and why)".
        drops: definitions that no output asks for any more; their names are not known.
        readings: which readings before a user's clock are incomplete; "" if none.
    """

    keeps: tuple[str, ...]
    partly: tuple[str, ...]
    starts: tuple[str, ...]
    widens: tuple[str, ...]
    fills: tuple[str, ...]
    drops: tuple[str, ...]
    readings: str = ""

    @property
    def nothing(self) -> bool:
        """Whether all state goes on, none is lost, and none is missed."""
        return not (self.partly or self.starts or self.widens or self.fills or self.drops or self.readings)

    def lines(self) -> Iterator[str]:
        """Yield what is said of it, a line each."""
        sections = (
            ("keeps", self.keeps),
            ("keeps a part of", self.partly),
            ("starts empty", self.starts),
            ("null in what is there", self.widens),
        )
        for heading, listed in sections:
            if listed:
                yield f"{heading}: {', '.join(listed)}"
        for output in self.fills:
            yield f"fills: {output}"
        if self.readings:
            yield self.readings
        for definition in self.drops:
            yield f"drops: {definition}"


def spec_change(plan: Plan, layout: Layout, earlier: Iterable[Layout] = ()) -> SpecChange:
    """Return what `plan` makes of records of `layout`, which may have had one of the `earlier` layouts before."""
    old = layout.keys
    names = list(dict.fromkeys(name for owners in plan.declared_by.values() for name in owners))
    kept = {name: [key in old for key, owners in plan.declared_by.items() if name in owners] for name in names}
    partly = tuple(name for name in names if any(kept[name]) and not all(kept[name]))
    new = tuple(name for name in names if not any(kept[name]))
    wholly_new = {key for key, owners in plan.declared_by.items() if set(owners) <= set(new)}
    outputs = tuple(
        output
        for output, needs in needs_of(plan).items()
        if not any(need.key in old for need in needs) and not all(need.key in wholly_new for need in needs)
    )
    return SpecChange(
        keeps=tuple(name for name in names if all(kept[name])),
        partly=partly,
        starts=(*new, *outputs),
        widens=tuple(_widened(plan, layout)),
        fills=tuple(f"{output} ({fill})" for output, fill in fills(plan, layout, earlier).items()),
        drops=tuple(sorted(old - plan.layout.keys)),
        readings=_readings(plan, layout),
    )


def fills(plan: Plan, layout: Layout, earlier: Iterable[Layout] = ()) -> dict[str, Fill]:
    """Return what the outputs that are not exact at once lack of records of `layout`, by output.

    Records may have had one of the `earlier` layouts before: what these did not keep may still be missing.
    """
    found = {}
    others = [other for other in earlier if other.fingerprint not in (layout.fingerprint, plan.layout.fingerprint)]
    for output, needs in needs_of(plan).items():
        fill = _fill(needs, layout)
        for other in others:
            # What began later than that layout holds everything since it began.
            if fill is None and all(need.key in layout.keys for need in needs):
                before = _fill(needs, other)
                fill = None if before is None else _since_before(before, other)
        if fill is not None:
            found[output] = fill
    return found


def _since_before(fill: Fill, other: Layout) -> Fill:
    return Fill(fill.after_us, f"{fill.why}, of records that once had layout {other.fingerprint.hex()}")


def _fill(needs: Iterable[Need], layout: Layout) -> Fill | None:
    """Return what an output with these needs lacks of records of `layout`; None if it is exact or starts empty."""
    listed = list(needs)
    held = [need for need in listed if need.key in layout.keys]
    if not held:
        return None
    lacking = [fill for need in held if (fill := _lacking(need, layout)) is not None]
    if len(held) < len(listed):
        lacking.append(Fill(listed[0].reach_us, MIXED))
    if not lacking:
        return None
    # One that never ends says most, then the one that ends last.
    return max(lacking, key=lambda fill: (fill.after_us is None, fill.after_us or 0))


def _lacking(need: Need, layout: Layout) -> Fill | None:
    if need.component_bytes:
        stored = {vectors.key: vectors.component_bytes for vectors in layout.vectors}[need.key]
        return Fill(None, "what is there was stored in half precision") if stored < need.component_bytes else None
    if missing := _missing_fields(need, layout):
        return Fill(None, f"what is there has no {', '.join(missing)}, and so no part in it")
    if need.reach_us is None and need.cap is None and need.key not in layout.kept_of and _is_kept_by_key(need, layout):
        return None
    kept: Kept | None = layout.kept_of.get(need.key)
    if kept is None:
        return Fill(need.reach_us, UNKNOWN)
    if not kept.suffices(need.reach_us, need.width_us):
        return Fill(need.reach_us, LONGER) if need.reach_us is not None else Fill(None, _never(kept))
    if need.cap is not None and kept.cap is not None and need.cap > kept.cap:
        least = f"counts as if it had `keys: {kept.cap}`" if need.bounds else f"at most {kept.cap} were kept"
        return Fill(need.reach_us, least)
    return None


def _is_kept_by_key(need: Need, layout: Layout) -> bool:
    """Return whether what a definition holds follows from its key: decayed numbers and profiles."""
    keys = {decay.key for decay in layout.decays} | {profile.key for profile in layout.profiles}
    return need.key in keys


def _missing_fields(need: Need, layout: Layout) -> list[str]:
    fields: Mapping[str, str] = {}
    for log in layout.logs:
        if log.key == need.key:
            fields = dict(log.fields)
    return [name for name in need.fields if name not in fields]


def _never(kept: Kept) -> str:
    reach_us = max((reach_us or 0 for _, reach_us in kept.levels), default=0)
    return f"never complete: it counts from {format_duration(reach_us)} before the change on"


def _readings(plan: Plan, layout: Layout) -> str:
    """Return which readings lie further before a user's clock than records of `layout` can answer for."""
    skew_us = min(
        (kept.skew_us for kept in layout.kept if kept.key in plan.layout.keys), default=plan.max_clock_skew_us
    )
    if skew_us >= plan.max_clock_skew_us:
        return ""
    before, after = format_duration(skew_us), format_duration(plan.max_clock_skew_us - skew_us)
    return f"readings more than {before} before a user's clock: exact from {after} after the change"


def _widened(plan: Plan, layout: Layout) -> Iterator[str]:
    before = {log.key: dict(log.fields) for log in layout.logs}
    for log in plan.layout.logs:
        had = before.get(log.key)
        if had is None:
            continue
        # Every row has its event's time.
        kinds = [(name, kind) for name, kind in log.fields if kind != TIME_KIND]
        added = [name for name, kind in kinds if had.get(name) not in (kind, TIME_KIND)]
        if added:
            yield f"{', '.join(plan.declared_by[log.key])} ({', '.join(added)})"
