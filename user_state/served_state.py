"""What a client reads: the records of the generation that is served now, and what their outputs are composed of.

Which generation that is may change while a client lives (`user-state generation use`). So it is looked up again every
`refresh_s`, by the call that comes next then: one more round trip for that call. While Redis says nothing, as it does
where nobody made a generation, and where what was said is lost, a client stays with what it reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from user_state.embeddings.provider import VectorProvider
from user_state.errors import StoreError
from user_state.plan.plan import Plan
from user_state.similarity import Similarity
from user_state.spec import LoadedSpec
from user_state.state_reads import StateReads
from user_state.store.server import Server

OpenProviders = Callable[[Plan, Mapping[str, VectorProvider] | None], dict[str, VectorProvider]]
RETRY_S = 1.0
"""After Redis did not say which generation is served: how soon it is asked again."""


@dataclass(frozen=True)
class Opened:
    """One generation, ready to be read.

    Attributes:
        generation: which; None: the records of none.
        providers: of item vectors, by table.
        reads: reads records.
        similarity: compares vectors.
    """

    generation: str | None
    providers: Mapping[str, VectorProvider]
    reads: StateReads
    similarity: Similarity


def opened(server: Server, plan: Plan, providers: Mapping[str, VectorProvider], generation: str | None) -> Opened:
    """Return what reads the records of a plan."""
    reads = StateReads(server, plan, providers)
    return Opened(generation, providers, reads, Similarity(reads, plan, providers))


class Following:
    """Whichever generation is served. Threads may share it.

    Args:
        server: where the records are.
        spec: of the records that are read first, with their generation.
        plan: of the spec.
        open_providers: opens a generation's providers, given those of another one, if there is one.
        served: asks Redis which generation is served; None: it does not say.
        refresh_s: how often to look; infinity: at first use alone.
    """

    def __init__(
        self,
        server: Server,
        spec: LoadedSpec,
        plan: Plan,
        open_providers: OpenProviders,
        served: Callable[[], str | None],
        refresh_s: float,
    ) -> None:
        self._server, self._spec, self._plan, self._open = server, spec, plan, open_providers
        self._served, self._refresh_s = served, refresh_s
        self._now = opened(server, plan, open_providers(plan, None), spec.generation)
        self._is_known = False
        self._due_s = 0.0

    def start(self) -> None:
        """Load what the outputs are composed of, as `VectorProvider.start` does."""
        for provider in self._now.providers.values():
            provider.start()

    @property
    def now(self) -> Opened:
        """What was served when it was looked at last."""
        return self._now

    def current(self) -> Opened:
        """Return what is served, looked up if that is due.

        Raises:
            StoreUnavailable, StoreError: Redis does not say, and never did.
            InputError: as `served`.
        """
        if time.monotonic() >= self._due_s:
            self._look()
        return self._now

    def _look(self) -> None:
        # No lock: a child forked while another thread holds it would wait for ever. Several threads may look at once,
        # and find the same.
        if self._is_known:
            self._due_s = time.monotonic() + self._refresh_s  # for the others
        try:
            served = self._served()
        except StoreError:
            if not self._is_known:
                raise
            self._due_s = time.monotonic() + RETRY_S  # whoever reads next hears of it from the reading
            return
        if served is not None and self._spec.of_generation(served).generation != self._now.generation:
            self._change(self._spec.of_generation(served))
        self._is_known = True
        self._due_s = time.monotonic() + self._refresh_s

    def _change(self, spec: LoadedSpec) -> None:
        before = self._now
        plan = replace(self._plan, keyspace=spec.keyspace)
        providers = self._open(plan, before.providers)
        for table, provider in providers.items():
            if provider is not before.providers[table]:
                provider.start()
        self._now = opened(self._server, plan, providers, spec.generation)
        self._now.reads.unreadable = before.reads.unreadable
