"""What becomes of records when the spec changes, in the words of the spec: what `adopt` does, said beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from user_state.core.layout import TIME_KIND, Layout
from user_state.core.plan import Plan


@dataclass(frozen=True)
class SpecChange:
    """What a plan makes of records of another layout.

    Attributes:
        keeps: the features, sequences and embeddings whose state goes on.
        partly: those of whose state a part goes on, and the rest starts empty.
        starts: those whose state starts empty.
        widens: sequences and lists with fields that are null in what is there already: "name: field, field".
        drops: definitions that no output asks for any more; their names are not known.
    """

    keeps: tuple[str, ...]
    partly: tuple[str, ...]
    starts: tuple[str, ...]
    widens: tuple[str, ...]
    drops: tuple[str, ...]

    @property
    def nothing(self) -> bool:
        """Whether all state goes on and none is lost."""
        return not (self.partly or self.starts or self.widens or self.drops)

    def lines(self) -> Iterator[str]:
        """Yield what is said of it, a line each."""
        told = (
            ("keeps", self.keeps),
            ("keeps a part of", self.partly),
            ("starts empty", self.starts),
            ("null in what is there", self.widens),
        )
        for heading, listed in told:
            if listed:
                yield f"{heading}: {', '.join(listed)}"
        for definition in self.drops:
            yield f"drops: {definition}"


def spec_change(plan: Plan, layout: Layout) -> SpecChange:
    """Return what `plan` makes of records of `layout`."""
    old = layout.keys
    names = list(dict.fromkeys(name for owners in plan.declared_by.values() for name in owners))
    kept = {name: [key in old for key, owners in plan.declared_by.items() if name in owners] for name in names}
    return SpecChange(
        keeps=tuple(name for name in names if all(kept[name])),
        partly=tuple(name for name in names if any(kept[name]) and not all(kept[name])),
        starts=tuple(name for name in names if not any(kept[name])),
        widens=tuple(_widened(plan, layout)),
        drops=tuple(sorted(old - plan.layout.keys)),
    )


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
