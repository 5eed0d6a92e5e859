"""Which spec writes the records of a name: asked before a run starts, and changed on purpose.

A spec's learned items have records, and so a registry, of their own, under a name of their own; they are written by the
same spec.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

from user_state.plan.compile.learned import item_plan
from user_state.plan.plan import Plan
from user_state.store.connection import connect
from user_state.store.registry import Registered, Registry, Writer

TIMEOUT_S = 5.0


def propose_epoch(url: str, plan: Plan, now_us: int) -> int:
    """Return the epoch that a run of the plan's spec can write with; nothing changes in Redis.

    Raises:
        SpecSuperseded: it is an older spec than the one that writes.
        StoreUnavailable, StoreError: as `translated` says.
    """
    return max(_each(url, plan, now_us, Registry.propose))


def force_epoch(url: str, plan: Plan, now_us: int) -> int:
    """Make the plan's spec the one that writes, though it be an older one; return its epoch.

    Raises:
        StoreUnavailable, StoreError: as `translated` says.
    """
    return max(_each(url, plan, now_us, Registry.force))


def registered_specs(url: str, plan: Plan) -> Registered:
    """Return which specs write, or wrote, the records of the plan's name.

    Raises:
        StoreUnavailable, StoreError: as `translated` says.
    """
    with closing(connect(url, TIMEOUT_S)) as redis:
        return Registry(redis, url, plan.keyspace).registered()


def plans_of(plan: Plan) -> tuple[Plan, ...]:
    """Return the plan, and those of its learned items: each has records and a registry."""
    return plan, *(item_plan(plan, learned) for learned in plan.learned)


def _each(url: str, plan: Plan, now_us: int, ask: Callable[[Registry, Writer], Writer]) -> Iterator[int]:
    """Yield what each registry of a plan answers, and the time."""
    yield now_us
    with closing(connect(url, TIMEOUT_S)) as redis:
        for one in plans_of(plan):
            yield ask(Registry(redis, url, one.keyspace), Writer(one.layout, plan.definition, now_us)).epoch
