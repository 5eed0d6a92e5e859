"""Faults that were mended, put back: the simulator has to find each, or it looks in the wrong places."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from unittest import mock

import numpy as np

from tests.fuzz.envelope import with_horizon
from tests.simulation.redis_model import RedisModel
from user_state import fold
from user_state.events import screening
from user_state.fold import Folder
from user_state.fold_memory import FoldMemory
from user_state.state.envelope import heads_of, version_of
from user_state.store.beat import Beat


@contextmanager
def _cache_trusted() -> Iterator[None]:
    """What a worker remembers decides, and is compared with nothing."""
    whole = Folder._replacements

    def only_writes(self, *args):  # type: ignore[no-untyped-def]
        return {user: one for user, one in whole(self, *args).items() if one.record is not None}

    with mock.patch.object(Folder, "_replacements", only_writes):
        yield


@contextmanager
def _layout_not_registered() -> Iterator[None]:
    """A worker registers its layout once, when it starts."""
    script = RedisModel._replace

    def unaware(self, keys, argv):  # type: ignore[no-untyped-def]
        return script(self, keys[len(keys) % int(argv[2]) :], argv)

    with mock.patch.object(RedisModel, "_replace", unaware):
        yield


@contextmanager
def _no_fence() -> Iterator[None]:
    """Whoever has the right version writes, whatever its spec, once the registry knows any."""
    script = RedisModel._replace

    def unfenced(self, keys, argv):  # type: ignore[no-untyped-def]
        if len(keys) % int(argv[2]) and not self._hash(keys[0]):
            return -3
        return script(self, keys[len(keys) % int(argv[2]) :], [b"9" * 18, *argv[1:]])

    with mock.patch.object(RedisModel, "_replace", unfenced):
        yield


@contextmanager
def _horizon_not_stored() -> Iterator[None]:
    """A record does not know since when its ids are complete."""
    whole = Folder._folded

    def forgetful(self, task):  # type: ignore[no-untyped-def]
        folded = whole(self, task)
        before, _ = heads_of([one.record for one in task.stored])
        for place, (record, horizon_us) in enumerate(zip(folded.records, before.horizon_us.tolist(), strict=True)):
            if record is not None:
                folded.records[place] = with_horizon(record, horizon_us, version_of(record))
        return folded

    with mock.patch.object(Folder, "_folded", forgetful):
        yield


@contextmanager
def _lost_ids_ignored() -> Iterator[None]:
    """A record without ids is taken for one that has none."""
    with mock.patch.object(fold, "_without_ids", return_value=[]):
        yield


@contextmanager
def _nobody_is_told() -> Iterator[None]:
    """Lost data is folded again, and nobody hears of it."""
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(FoldMemory, "is_lost", return_value=False))
        patches.enter_context(mock.patch.object(Beat, "take_went_back", return_value=False))
        yield


@contextmanager
def _records_unbounded() -> Iterator[None]:
    """A record may become as large as events make it."""
    whole = Folder.__init__

    def unbounded(self, plan, *args, **options):  # type: ignore[no-untyped-def]
        whole(self, replace(plan, max_record_bytes=1 << 40), *args, **options)

    with mock.patch.object(Folder, "__init__", unbounded):
        yield


@contextmanager
def _history_vanishes() -> Iterator[None]:
    """Events older than the retention are written, and expire at once."""
    with mock.patch.object(screening, "screen", lambda plan, events, now_us: np.zeros(len(events), np.int8)):
        yield


BUGS: dict[str, AbstractContextManager[None] | object] = {
    "cache_trusted": _cache_trusted,
    "layout_not_registered": _layout_not_registered,
    "no_fence": _no_fence,
    "horizon_not_stored": _horizon_not_stored,
    "lost_ids_ignored": _lost_ids_ignored,
    "nobody_is_told": _nobody_is_told,
    "records_unbounded": _records_unbounded,
    "history_vanishes": _history_vanishes,
}


def with_bug(name: str | None) -> AbstractContextManager[None]:
    """Put a fault back for the length of a `with` block."""
    return nullcontext() if name is None else BUGS[name]()  # type: ignore[operator]
