"""The generation that a backfill fills, as Redis has it: begun by one job, and complete once its shards are there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from user_state.errors import InputError
from user_state.plan.plan import Plan
from user_state.spec import LoadedSpec
from user_state.store.generations import Generation, Generations
from user_state.store.redis_store import RedisStateStore
from user_state.store.survey import stored_layouts


def check_store(redis: str, keyspace: str) -> None:
    """Find out whether a server can do what will be asked of it.

    Raises:
        StoreUnavailable, StoreError: it cannot.
    """
    store = RedisStateStore(redis, keyspace)
    try:
        store.check()
    finally:
        store.close()


def claim_for(
    redis: str, spec: LoadedSpec, plan: Plan, what: Mapping[str, Any], until_us: int | None, now_us: int
) -> Claim:
    """Return the claim of a backfill: the one that is there, if it is the same, else one that begins now.

    Args:
        redis: as in `Claim`, as are `spec`, `plan` and `until_us`.
        spec: of the generation.
        plan: of the spec.
        until_us: where it ends.
        what: names the backfill and no other: spec, files and options.
        now_us: the wall clock, microseconds UTC.

    Raises:
        StoreUnavailable, StoreError: as `Generations`.
    """

    def claim_of(began_us: int) -> Claim:
        named = json.dumps([what, began_us], sort_keys=True).encode()
        return Claim(redis, spec, plan, hashlib.blake2b(named, digest_size=8).hexdigest(), began_us, until_us)

    with Generations(redis, spec.spec.name) as generations:
        found = generations.find(str(spec.generation))
    if found is not None and claim_of(found.began_us).job == found.job:
        return claim_of(found.began_us)
    return claim_of(now_us)


@dataclass(frozen=True)
class Claim:
    """What one job fills; methods raise StoreUnavailable and StoreError as `Generations`.

    Attributes:
        redis: the URL of the server.
        spec: of the generation.
        plan: of the spec.
        job: names the job and no other, 16 hexadecimal digits: it follows from what is done and when it was begun.
        began_us: when it was begun, microseconds UTC.
        until_us: it takes events published before then; None: all.
    """

    redis: str = field(repr=False)  # it may have a password
    spec: LoadedSpec
    plan: Plan
    job: str
    began_us: int
    until_us: int | None

    def begin(self) -> Generation | None:
        """Note that the job fills the generation; return what was noted already, None if nothing.

        Raises:
            InputError: there is something of the generation that is not this job's.
        """
        name = str(self.spec.generation)
        with Generations(self.redis, self.spec.spec.name) as generations:
            found = generations.find(name)
            if found is not None and found.job == self.job:
                return found
            if found is not None or stored_layouts(self.redis, self.spec.keyspace).held:
                raise InputError(
                    f"expected a new generation, got {name}, which is there already: name another one, or delete it"
                    f" with `user-state generation drop {name}`. A backfill that was interrupted goes on with the same"
                    " files and options"
                )
            generations.put(self._generation())
        return None

    def end(self, ended_us: int, events: int, latest_us: int | None) -> None:
        """Note that the generation is complete, also where Redis has lost that it was begun.

        Args:
            ended_us: when, microseconds UTC.
            events: how many are in its records.
            latest_us: the latest publish time among the events that were folded, microseconds UTC.
        """
        with Generations(self.redis, self.spec.spec.name) as generations:
            generations.put(self._generation(ended_us, events, latest_us))

    def _generation(self, ended_us: int | None = None, events: int = 0, latest_us: int | None = None) -> Generation:
        return Generation(
            str(self.spec.generation),
            self.plan.definition.hex(),
            self.began_us,
            ended_us,
            events,
            self.job,
            self.until_us,
            latest_us,
            is_history=True,
        )
