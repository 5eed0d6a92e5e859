"""A plan with some of its outputs: what is read, while records and their layout stay what they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from user_state.errors import InputError
from user_state.plan.outputs import InterestWeightsOutput
from user_state.plan.plan import Plan

MOST_NAMED = 10
"""How many names a message lists."""


def select_outputs(plan: Plan, names: Iterable[str]) -> Plan:
    """Return the plan with the outputs of these names alone, in the plan's order.

    Raises:
        InputError: the plan has no output of such a name.
    """
    wanted = set(names)
    every = [output.name for output in (*plan.scalars, *plan.arrays, *plan.all_lists, *plan.embeddings)]
    if unknown := sorted(wanted.difference(every)):
        known = ", ".join(every[:MOST_NAMED]) + (", ..." if len(every) > MOST_NAMED else "")
        raise InputError(f"expected names of the spec's outputs ({known}), got {unknown[0]!r}")

    def chosen(outputs: Iterable[Any]) -> tuple[Any, ...]:
        return tuple(output for output in outputs if output.name in wanted)

    return replace(
        plan,
        scalars=chosen(plan.scalars),
        arrays=chosen(plan.arrays),
        lists=chosen(plan.lists),
        sequences=chosen(plan.sequences),
        embeddings=chosen(plan.embeddings),
    )


def composed_part(plan: Plan) -> Plan | None:
    """Return the plan with what is composed of item tables alone, None if it has nothing of the kind.

    What interests weigh is read from interests, which come along whether they were asked for or not.
    """
    weights = tuple(output for output in plan.arrays if isinstance(output, InterestWeightsOutput))
    embeddings = dict.fromkeys((*plan.composed, *(output.of for output in weights)))
    if not embeddings:
        return None
    return replace(plan, scalars=(), arrays=weights, lists=(), sequences=(), embeddings=tuple(embeddings))
